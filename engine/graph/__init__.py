"""How derived values are recomputed: queries that remember what they read; it knows neither Gateways nor Envoy."""
