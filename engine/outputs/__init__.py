"""What leaves the engine: one output query a kind of object; each says its fragments, nodes, statuses and counts."""
