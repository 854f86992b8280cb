"""Parts of change sets: which are put together, and which are refused since nobody could complete them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.engine import Engine
from engine.events import Change, ChangeSet, Pin, Put
from engine.seal import KEY_BYTES, Sealer
from tests.support.manifests import CLUSTER, TIME, service


class _Domain:
    """An engine in which nobody signs."""

    def __init__(self) -> None:
        self.engine = Engine(Sealer(bytes(KEY_BYTES)))
        self.offset = -1

    def tell(self, said: ChangeSet) -> str:
        self.offset += 1
        return self.engine.apply(said, self.offset).refusal

    def rows(self, room: str) -> list[str]:
        return sorted(key.rpartition("/")[2] for key in self.engine.state() if key.startswith(f"{room}/"))


def _part(part: int, parts: int, *changes: Change, name: str = "1", source: str = "files") -> ChangeSet:
    said = ChangeSet("default", CLUSTER, source, name, TIME, "test", changes)
    return replace(said, part=part, parts=parts)


@pytest.mark.parametrize(
    ("before", "part"),
    [
        ([], (1, 2)),
        ([(0, 3)], (1, 2)),
        ([(0, 3)], (2, 3)),
        ([(0, 2), (1, 2)], (1, 2)),
        ([(0, 4), (1, 4), (2, 4), (0, 4)], (3, 4)),
    ],
    ids=["first is missing", "of another number", "one is missing", "said twice", "begun again"],
)
def test_a_part_without_the_one_before_it_is_refused(before: list[tuple[int, int]], part: tuple[int, int]) -> None:
    domain = _Domain()
    for number, one in enumerate(before):
        assert not domain.tell(_part(*one, service(f"s{number}")))
    state = domain.engine.state()
    refusal = domain.tell(_part(*part, service("odd")))
    assert refusal == (
        f"part {part[0] + 1} of {part[1]} of a change set of source 'files' of cluster '{CLUSTER}' does not come after "
        "the one before it, of the same signer: say all of it again"
    )
    assert domain.engine.state() == state


def test_a_watcher_that_begins_a_change_set_gives_up_the_one_before_and_nobody_elses() -> None:
    domain = _Domain()
    for name, source in (("1", "files"), ("2", "kubernetes"), ("3", "files")):
        assert not domain.tell(_part(0, 2, service(name), name=name, source=source))
    assert sorted(key for key in domain.engine.state() if key.startswith("part/")) == [
        f"part/{CLUSTER}~files~3/000000",
        f"part/{CLUSTER}~kubernetes~2/000000",
    ]
    assert domain.tell(_part(1, 2, name="1"))
    assert not domain.tell(_part(1, 2, service("last"), name="3"))
    assert domain.rows("resource") == ["3", "last"]


def test_commands_say_their_parts_side_by_side() -> None:
    domain = _Domain()
    for part in range(2):
        for name in ("p", "q"):
            changes = (Pin(f"{name}{part}", None, 0, "why"),)
            assert not domain.tell(_part(part, 2, *changes, name=name, source="control"))
    assert domain.rows("pin")
    assert not domain.rows("part")


def test_parts_that_an_engine_before_left_are_completed() -> None:
    """It noted neither their number nor who signed them, and took them in any order."""
    said = _part(0, 2, service("a")), _part(1, 2, service("b"))
    for left in (0, 1):
        domain = _Domain()
        assert not domain.tell(said[0])
        ((key, row),) = ((key, row) for key, row in domain.engine.state().items() if key.startswith("part/"))
        old = {**domain.engine.state(), key.replace("000000", f"{left:06d}"): {"changes": row["changes"]}}
        if left:
            del old[key]
        domain.engine = Engine(Sealer(bytes(KEY_BYTES)))
        domain.engine.load(old.items())
        assert bool(domain.tell(_part(left + 1, left + 2, service("b")))) is bool(left)
        assert domain.rows("resource") == ([] if left else ["a", "b"])


def test_no_row_is_left_of_a_change_set_that_is_whole() -> None:
    domain = _Domain()
    puts: list[Put] = [service(f"s{number}") for number in range(5)]
    for part, put in enumerate(puts):
        assert not domain.rows("resource")
        assert not domain.tell(_part(part, 5, put))
    assert domain.rows("resource") == ["s0", "s1", "s2", "s3", "s4"]
    assert not domain.rows("part")
