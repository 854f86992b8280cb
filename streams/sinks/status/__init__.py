"""The status writer: wanted statuses, joined with what proxies acknowledged, written to the objects of a cluster."""
