"""The project's own Kubernetes: etcd and kube-apiserver as plain processes, built from their Go modules."""
