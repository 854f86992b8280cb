"""The publisher: assembles fragments into Envoy resources and serves them over delta ADS."""
