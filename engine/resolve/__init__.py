"""What the config means: Gateway API semantics as queries; it knows neither Envoy nor how queries are rerun."""
