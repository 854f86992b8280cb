"""When random objects were created: among those of one kind the oldest mostly goes first."""

AGES = ("2026-01-01T00:00:00Z", "2025-12-01T00:00:00Z", "2026-02-01T00:00:00Z")
