"""The types of kgateway's Backend: a file each, with one `BACKEND_TYPE`; nothing here knows another type."""
