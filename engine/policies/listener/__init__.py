"""Features of kgateway's listener policies: one file each, found by presence. None imports another."""
