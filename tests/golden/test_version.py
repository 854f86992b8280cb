"""The engine's VERSION counts up whenever the same log would give other bytes or another judgement.

A boot trusts what an engine of its own version wrote: with a forgotten count it would keep old judgements, and history
would name the wrong engine.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from engine.engine import VERSION
from engine.models.kinds import BY_NAME
from engine.models.schema import structural
from tests.golden.case import CASES, as_yaml, envoy_of, names, resolve, standing, status_of
from tests.golden.test_golden import UPDATE

_RECORDED = CASES.parent / "version.json"


def _digest(value: str) -> str:
    return hashlib.blake2b(value.encode(), digest_size=8).hexdigest()


def _now() -> dict[str, Any]:
    goldens = {name: resolve(CASES / name) for name in names()}
    kinds = {f"{kind.group}/{kind.name}": json.dumps(structural(kind.model), sort_keys=True) for kind in BY_NAME.values()}
    return {
        "version": VERSION,
        "cases": {name: _digest(envoy_of(one) + status_of(one)) for name, one in goldens.items()},
        "filters": {"standing": _digest(as_yaml(standing()))},
        "kinds": {name: _digest(text) for name, text in sorted(kinds.items())},
    }


def test_an_engine_that_says_something_else_has_another_version() -> None:
    """What was recorded under this version is still said; what is new is recorded by `make golden`."""
    recorded, now = json.loads(_RECORDED.read_text()), _now()
    changed = [
        name
        for part in ("cases", "filters", "kinds")
        for name, digest in recorded.get(part, {}).items()
        if now[part].get(name, digest) != digest
    ]
    assert not changed or recorded["version"] != VERSION, (
        f"count engine.engine.VERSION up from {VERSION}, then make golden: other bytes or judgements of {changed}"
    )
    if UPDATE:
        _RECORDED.write_text(json.dumps(now, indent=1) + "\n")
    assert json.loads(_RECORDED.read_text()) == now, "make golden: there are new cases, kinds or a new version"
