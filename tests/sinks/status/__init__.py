"""The log and its processor."""
