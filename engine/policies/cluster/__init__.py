"""Fields of a BackendConfigPolicy and what each makes of a Cluster: a file a field."""
