"""Policies of kgateway's API: one file a feature. No feature imports another."""
