"""Where and how to reach a dialect: data, not code."""
