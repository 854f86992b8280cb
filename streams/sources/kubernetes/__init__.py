"""Kubernetes as a source: what an API server shows becomes change sets."""
