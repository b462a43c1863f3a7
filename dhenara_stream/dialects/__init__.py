"""The wire protocols: request bodies out, events in. Sans-IO."""
