"""The clusters of kgateway's types of Backend: a file each, with its `NATURE` and what it has `said` of the cluster."""
