"""All the I/O: the HTTP client's life, the async loop, the thread bridge."""
