"""What Envoy is told of a GatewayExtension, one file a section: all policies that name it share this."""
