"""What tests share: real backends, a real Envoy, clients."""
