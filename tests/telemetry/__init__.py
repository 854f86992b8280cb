"""What a process tells of itself: readiness, metrics, traces."""
