"""Sinks: what the log asks for, done in the world."""
