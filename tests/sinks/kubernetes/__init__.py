"""The deployer of proxies in Kubernetes."""
