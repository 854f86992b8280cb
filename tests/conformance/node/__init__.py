"""One fake node: what kubelet, kube-proxy and a few controllers do, with plain processes."""
