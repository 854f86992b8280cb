"""What is found by being there comes in order, and is there once."""

from __future__ import annotations

import pytest

import engine.policies
from engine.presence import modules, told_apart


def test_modules_come_by_name_without_packages_and_those_left_out() -> None:
    names = [one.__name__.rpartition(".")[2] for one in modules(engine.policies, "feature")]
    assert names == sorted(names)
    assert "buffer" in names
    assert not {"feature", "cluster"} & set(names)


def test_what_is_there_twice_is_refused() -> None:
    assert told_apart(["b", "a"], str.upper) == {"B": "b", "A": "a"}
    with pytest.raises(TypeError, match="A is there twice"):
        told_apart(["a", "a"], str.upper)
