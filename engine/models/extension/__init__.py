"""The sections of GatewayExtension's spec, one file each: what users write, without what Envoy makes of it."""
