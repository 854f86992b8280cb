"""Random manifests of kgateway's kinds: valid by their schemas, then through the engine and the real Envoy."""
