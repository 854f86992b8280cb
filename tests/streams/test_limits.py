"""Limits of what a change may do: exact, also where a share is no float."""

from __future__ import annotations

import pytest

from streams.cli.limits import limits


@pytest.mark.parametrize(
    ("text", "found", "of", "is_exceeded"),
    [
        ("7%", 7, 100, False),
        ("55%", 11, 20, False),
        ("0.1%", 1, 1_000, False),
        ("0.1%", 2, 1_999, True),
        ("33.333333%", 1, 3, True),
        ("0%", 0, 0, False),
        ("0%", 1, 1_000_000, True),
        ("3", 3, 3, False),
        ("2.5", 3, 100, True),
    ],
)
def test_a_share_is_exceeded_by_what_is_more(text: str, found: int, of: int, is_exceeded: bool) -> None:  # noqa: FBT001
    (limit,) = limits(text, None, None, None, None)
    assert limit.judge(found, of)["exceeded"] is is_exceeded
