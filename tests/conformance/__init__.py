"""The public conformance suite of the Gateway API against penstock, in a cluster without containers."""
