"""The sans-IO heart: bytes in, values out. No I/O, no clock, no thread."""
