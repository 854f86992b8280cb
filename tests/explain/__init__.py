"""What `penstock explain` says, held against the real Envoy."""
