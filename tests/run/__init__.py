"""Running: sources, sinks, roles and the whole of it."""
