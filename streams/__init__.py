"""The shell: adapters and process steps around the engine; it decides nothing about routing."""
