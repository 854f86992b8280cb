"""`python -m streams.cli` is the penstock command."""

from __future__ import annotations

from streams.cli import main

main()
