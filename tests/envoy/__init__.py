"""How Envoy says it: the encoder, and Envoy's own field rules."""
