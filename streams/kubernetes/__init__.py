"""A Kubernetes cluster as penstock sees it: a port, its twin in memory, its API server, and how it is followed."""
