"""Routing judged by the specification's text."""
