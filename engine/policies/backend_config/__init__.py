"""How BackendConfigPolicies shape clusters; their fields, each a file, are in `cluster/`."""
