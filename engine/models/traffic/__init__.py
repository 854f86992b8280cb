"""The fields of TrafficPolicy's spec, one file each: what users write, without what Envoy makes of it."""
