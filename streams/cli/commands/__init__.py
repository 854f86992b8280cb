"""One file a command, of its name: a new one is found by being there."""
