"""The command line: thin commands over the adapters; what a user sees of an error is one clear line."""

from __future__ import annotations

from streams.cli.app import app, main

__all__ = ["app", "main"]
