"""The pure core: what the config means; no I/O, no clock, no randomness."""
