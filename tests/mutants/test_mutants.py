"""Goldens notice a wrong translation: at least nine of ten seeded mutants change an envoy.yaml."""

from __future__ import annotations

import os
from functools import cache

from tests.golden.case import CASES, envoy_of, names, resolve
from tests.mutants.mutation import Mutant, applied, chosen

COUNT = int(os.environ.get("MUTANTS", "12"))
"""`make mutants` takes all."""
_SEED = 3
_CAUGHT = 0.9


@cache
def _written(name: str) -> str:
    return (CASES / name / "envoy.yaml").read_text()


def _noticed_by(mutant: Mutant) -> str:
    """The first case that notices; "" when none does."""
    with applied(mutant):
        for name in names():
            try:
                if envoy_of(resolve(CASES / name)) != _written(name):
                    return name
            except Exception as error:  # noqa: BLE001  a mutant may break in any way
                return f"{name} ({type(error).__name__})"
    return ""


def test_goldens_catch_mutants() -> None:
    """The list is printed, caught or not."""
    noticed = {mutant: _noticed_by(mutant) for mutant in chosen(COUNT, _SEED)}
    for mutant, case in noticed.items():
        print(f"{'caught' if case else 'MISSED'}  {mutant}  {case}")
    caught = sum(bool(case) for case in noticed.values())
    assert caught >= _CAUGHT * len(noticed), f"{caught} of {len(noticed)}"
