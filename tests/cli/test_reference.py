"""The reference pages are what settings, topics and commands say."""

from __future__ import annotations

from streams.cli.reference import DIRECTORY, pages


def test_the_reference_is_up_to_date() -> None:
    """`make docs` writes it."""
    for name, text in pages().items():
        assert (DIRECTORY / name).read_text() == text, f"docs/reference/{name} is old: make docs"
