"""Every field of kgateway's is done, or the pages say why it is not."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from streams.cli.compatibility import page
from tests.coverage_kgateway import Field, fields

_DOCS = Path(__file__).parents[2] / "docs"
_LINE = re.compile(r"^- \*\*Fields of kgateway's that no golden case shows\*\*.*?(?=^- |\Z)", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| `(spec[^`]*)` \| (.*) \|$", re.MULTILINE)
_NAMED = re.compile(r"`([A-Za-z]+) (spec[.A-Za-z0-9]*)`")


@cache
def _fields() -> tuple[Field, ...]:
    return tuple(fields())


def _told() -> list[tuple[str, str]]:
    """What docs/weaknesses.md names, with all below it."""
    found = _LINE.search((_DOCS / "weaknesses.md").read_text())
    return _NAMED.findall(found[0]) if found is not None else []


def _is_below(one: Field, kind: str, path: str) -> bool:
    return one.kind == kind and f"{one.path}.".startswith(f"{path}.")


def test_a_field_that_is_not_served_stands_in_the_reference() -> None:
    text = page()
    rows = {kind: _rows(text, kind) for kind in {one.kind for one in _fields()}}
    for one in _fields():
        assert f"| {one.kind} |" in text
        told = rows[one.kind].get(one.path)
        # Of a block that is not modelled its fields are not told one by one.
        if one.reason.startswith("not served") and told is not None:
            assert told == one.reason, one


def _rows(text: str, kind: str) -> dict[str, str]:
    """What the page says of each field of a kind, by path."""
    section = text.partition(f"## {kind}, field by field")[2].partition("\n## ")[0]
    return {path.replace("[]", ""): told for path, told in _ROW.findall(section)}


def test_every_other_field_is_done_or_the_weaknesses_say_why() -> None:
    missing = [one for one in _fields() if one.reason in ("is in no model", "stands in no golden case")]
    told = _told()
    silent = [one for one in missing if not any(_is_below(one, *each) for each in told)]
    assert not silent, "write a golden case that has them, or docs/weaknesses.md, by kind and path"
    outdated = [each for each in told if not any(_is_below(one, *each) for one in missing)]
    assert not outdated, "docs/weaknesses.md names what is done"


def test_most_fields_are_looked_at() -> None:
    """The lists that this is measured by are whole."""
    counts = {kind: sum(one.kind == kind for one in _fields()) for kind in {one.kind for one in _fields()}}
    assert counts == {
        "Backend": 39, "BackendConfigPolicy": 147, "DirectResponse": 7, "GatewayExtension": 202, "GatewayParameters": 137,
        "HTTPListenerPolicy": 371, "ListenerPolicy": 764, "TrafficPolicy": 248,
    }  # fmt: skip
