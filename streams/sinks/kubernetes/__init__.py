"""Proxies as Kubernetes runs them: manifests of each Gateway, and the sink that brings a cluster to them."""
