"""How Envoy says it: resolved values to messages to bytes."""
