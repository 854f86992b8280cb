"""Whether the goldens would notice."""
