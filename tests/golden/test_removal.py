"""What was added and removed again leaves nothing, in every golden case: alone, and with everything else."""

from __future__ import annotations

from typing import Any

import pytest

from engine.engine import Engine
from engine.events import Change, ChangeSet, Delete, Put
from engine.seal import KEY_BYTES, Sealer
from engine.update import Update
from tests.golden.case import CASES, NOW, names, read


def _change_set(number: int, *changes: Change) -> ChangeSet:
    return ChangeSet("default", "local", "files", str(number), NOW, "test", changes)


def _picture(update: Update) -> tuple[Any, ...]:
    statuses = {key: {**one, "programmed": sorted(one["programmed"])} for key, one in update.statuses.set.items()}
    return update.fragments.set, update.nodes.set, update.infra.set, statuses


@pytest.mark.parametrize("name", names())
def test_added_then_removed(name: str) -> None:
    """Each object goes and comes back; then all go, one by one."""
    case = read(CASES / name)
    puts = {one.ref: one for each in case.change_sets for one in each.changes if isinstance(one, Put)}
    engine = Engine(Sealer(bytes(range(KEY_BYTES))), case.settings)
    engine.apply(_change_set(0, *puts.values()), 0)
    wanted = _picture(engine.everything())
    number = 1
    for ref, one in puts.items():
        engine.apply(_change_set(number, Delete(ref)), number)
        assert not any(str(ref) == key for key in engine.everything().statuses.set)
        engine.apply(_change_set(number + 1, one), number + 1)
        assert _picture(engine.everything()) == wanted, ref
        number += 2
    for ref in puts:
        engine.apply(_change_set(number, Delete(ref)), number)
        number += 1
    assert _picture(engine.everything()) == ({}, {}, {}, {})
    assert set(engine.state()) == {"clock"}
