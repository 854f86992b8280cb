"""A table that is forked is as a copy would be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.table import Trunk

_KEYS = st.integers(0, 5)
_CALLS = st.lists(
    st.tuples(st.sampled_from(["set", "del", "pop", "default", "look", "fork"]), _KEYS, _KEYS), max_size=30
)


@settings(max_examples=200)
@given(st.dictionaries(_KEYS, _KEYS), _CALLS)
def test_a_table_that_is_forked_is_as_a_copy(base: dict[int, int], calls: list[tuple[str, int, int]]) -> None:
    trunk = Trunk(Trunk())
    tables: list[tuple[Any, dict[int, int]]] = [(base, dict(base)), (trunk.over(base), dict(base))]
    for call, key, value in calls:
        table, copied = tables[-1]
        match call:
            case "set":
                table[key] = copied[key] = value
            case "del" if key in copied:
                del table[key], copied[key]
            case "del":
                with pytest.raises(KeyError):
                    del table[key]
            case "pop":
                assert table.pop(key, None) == copied.pop(key, None)
            case "default":
                assert table.setdefault(key, value) == copied.setdefault(key, value)
            case "look":
                assert table.get(key, -1) == copied.get(key, -1)
            case _:
                tables.append((Trunk(trunk).over(table), dict(copied)))
        for table, copied in tables:
            assert dict(table) == copied
            assert (len(table), bool(table), sorted(table)) == (len(copied), bool(copied), sorted(copied))
            assert [key in table for key in range(6)] == [key in copied for key in range(6)]


def test_what_can_change_is_copied_once_and_not_for_the_bases() -> None:
    base = {"a": [1], "b": [2]}
    trunk = Trunk()
    middle = Trunk(trunk).over(base, list)
    inner = Trunk(trunk).over(middle, list)
    inner["a"].append(5)
    assert (inner["a"], base["a"], len(middle._own)) == ([1, 5], [1], 0)
    middle["b"].append(6)
    assert (middle["b"], inner["b"], base["b"]) == ([2, 6], [2, 6], [2])
    assert inner["b"] is inner["b"] is not middle["b"]
