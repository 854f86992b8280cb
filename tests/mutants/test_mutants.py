"""Goldens notice a wrong translation: at least nine of ten seeded mutants change an envoy.yaml or a status.yaml."""

from __future__ import annotations

import os
from functools import cache

import pytest

from engine.update import Fragment, Status
from tests.golden.case import CASES, Read, names, read, resolved
from tests.mutants.mutation import Mutant, applied, chosen

COUNT = int(os.environ.get("MUTANTS", "10000"))
"""All of them, unless a smaller seeded sample is asked for."""
_SEED = 3
_CAUGHT = 0.9


@cache
def _read(name: str) -> Read:
    return read(CASES / name)


@cache
def _right(name: str) -> tuple[dict[str, Fragment], dict[str, Status]]:
    """What envoy.yaml and status.yaml say: that both are equal is the goldens' own test."""
    return _said(name)


def _said(name: str) -> tuple[dict[str, Fragment], dict[str, Status]]:
    update = resolved(_read(name)).update
    return dict(update.fragments.set), dict(update.statuses.set)


def _noticed_by(mutant: Mutant, order: list[str]) -> str:
    """The first case that notices, which is asked first of the next mutant, most like this one; "" when none does."""
    with applied(mutant):
        for name in order:
            try:
                differs, said = _said(name) != _right(name), name
            except Exception as error:  # noqa: BLE001  a mutant may break in any way
                differs, said = True, f"{name} ({type(error).__name__})"
            if differs:
                order.remove(name)
                order.insert(0, name)
                return said
    return ""


@pytest.mark.timeout(3600)
def test_goldens_catch_mutants() -> None:
    """The list is printed, caught or not."""
    for name in names():
        _right(name)
    order = names()
    noticed = {mutant: _noticed_by(mutant, order) for mutant in chosen(COUNT, _SEED)}
    for mutant, case in noticed.items():
        print(f"{'caught' if case else 'MISSED'}  {mutant}  {case}")  # noqa: T201  the list is the evidence
    caught = sum(bool(case) for case in noticed.values())
    assert caught >= _CAUGHT * len(noticed), f"{caught} of {len(noticed)}"
