"""A fork of the engine is told what the engine itself could be told, answers the same, and leaves it as it was."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine
from engine.events import (
    Admitted,
    Change,
    ChangeSet,
    Confirm,
    Lift,
    Quarantine,
    Refused,
    SyncBegin,
    SyncEnd,
    Tick,
    Unpin,
)
from engine.graph.cell import Cell, Failure
from engine.graph.graph import Graph
from engine.graph.reader import Resource
from engine.ref import Ref
from engine.table import Branch, StaleFork
from engine.update import Update
from streams.codec import encode_update
from tests.engine.test_work import _EDITS, _engine, _route
from tests.property.test_deadline import _CERTIFICATES, _GATEWAYS, _at
from tests.property.test_deadline import _CHANGES as _EXPIRING
from tests.property.test_incremental import _CHANGES, _SEALER
from tests.property.test_pins import _Live
from tests.support.manifests import change_set, delete, gateway, route

_SUMMARY = {"cluster": "c", "source": "s", "actor": "a", "changes": [], "engine": ""}
_KINDS = ["put"] * 6 + ["pin", "rollback", "unpin", "reject", "lift", "tick", "refuse", "admit", "sync", "parts"]
_SETS = st.lists(st.one_of(_CHANGES, st.lists(_EXPIRING, max_size=4)), min_size=1, max_size=3)
_STEPS = st.lists(st.tuples(st.sampled_from(_KINDS), st.integers(0, 30)), max_size=8)
_FUTURES = st.lists(st.tuples(st.sampled_from(_KINDS), st.integers(0, 30)), min_size=1, max_size=5)


class _Story(_Live):
    """An engine that is told all sorts of things, and what it answered."""

    def __init__(self, changes: list[Change]) -> None:
        super().__init__()
        self.left = changes
        self.answers: list[list[Any]] = []

    def tell(self, *changes: Change, source: str = "files", time: str = _at(0)) -> Update:
        return self.hear(replace(change_set(*changes, number=len(self.log), source=source), time=time))

    def hear(self, said: ChangeSet) -> Update:
        update = self.engine.apply(said, len(self.log))
        self.log.append(said)
        self.states.append(self.engine.state())
        self.answers.append(_records(update))
        return update

    def play(self, steps: list[tuple[str, int]]) -> None:
        for step, number in steps:
            self._step(step, number)

    def _step(self, step: str, number: int) -> None:
        pins, found = self.pins(), sorted(self.engine.everything().fragments.set.items())
        key, fragment = found[number * 7 % len(found)] if found else ("", None)
        match step:
            case "pin" | "rollback" if self.states:
                self.past(step, number)
            case "reject" if fragment is not None:
                said = Quarantine(fragment.key.gateway, key, fragment.version, fragment.provenance, "no", "1.40.0")
                self.tell(said, source="publisher")
            case "lift" if fragment is not None:
                self.tell(Lift(fragment.key.gateway, key), source="publisher")
            case "tick":
                self.tell(Tick(), source="resolver", time=_at(number / 8))
            case "refuse" if self.left:
                self.tell(Refused(f"file{number % 2}", self.left[0].ref, f"no {number}"))  # type: ignore[union-attr]
            case "admit":
                self.tell(Admitted(f"file{number % 2}"))
            case "sync":
                self.tell(SyncBegin())
                self.tell(*self._next(number))
                if number % 3:
                    self.tell(SyncEnd())
            case "parts":
                for part in range(2):
                    said_ = change_set(*self._next(number), number=number)
                    self.hear(replace(said_, part=part, parts=2))
            case "unpin" if pins:
                one = pins[number % len(pins)]
                self.tell(Confirm(one) if number % 2 else Unpin(one), source="control")
            case _:
                self.tell(*self._next(number))

    def _next(self, number: int) -> list[Change]:
        told, self.left = self.left[: number % 8 + 1], self.left[number % 8 + 1 :]
        return told

    def fork(self, changes: list[Change]) -> _Story:
        found = copy(self)
        found.engine, found.left, found.seen = self.engine.fork(), changes, dict(self.seen)
        found.log, found.states, found.answers = list(self.log), list(self.states), list(self.answers)
        return found

    def follow(self, other: _Story) -> None:
        """Really apply what a fork was told."""
        for said in other.log[len(self.log) :]:
            self.hear(said)


def _records(update: Update) -> list[Any]:
    """An update as it is written, byte for byte, with what is not."""
    written = list(encode_update("default", 0, update, _SUMMARY))
    return [written, dict(update.nodes.before), update.wake_at, update.warnings]


def _all(engine: Engine) -> list[Any]:
    return [_records(engine.everything()), engine.state(), *map(_held, _graphs(engine))]


def _graphs(engine: Engine) -> list[Graph]:
    pinned = engine._readings._pinned
    return [engine.graph, *(pinned[pin][1].graph for pin in sorted(pinned))]


def _held(graph: Graph) -> dict[str, Any]:
    """All that a graph holds, with its links by identity."""
    claims = {key: tuple(ranks) for key, ranks in graph._claims.items()}
    tables: tuple[Any, ...] = (graph._resources, graph._facts, graph._counts, claims)
    members = {key: set(refs) for key, refs in graph._members.items()}
    return {"cells": {key: _links(cell) for key, cell in graph._cells.items()}, "members": members} | {
        str(at): dict(table) for at, table in enumerate(tables)
    }


def _links(cell: Cell) -> tuple[Any, ...]:
    value = cell.value.text if isinstance(cell.value, Failure) else cell.value
    is_sorted_later = cell.identity[0] == "find"
    readers = [one.identity for one in cell.readers]
    assert len(cell.readers) == len(readers) == len(set(readers))
    reads = {one.identity for one in cell.reads}
    return None if is_sorted_later else value, frozenset(reads), frozenset(readers), cell.root, cell.stale


def _story(changes: list[Change], steps: list[tuple[str, int]]) -> _Story:
    found = _Story(changes)
    found.play([("put", 3), *steps, ("put", 99)])
    return found


def _joined(sets: list[list[Change]]) -> list[Change]:
    return [change for one in sets for change in one]


@settings(max_examples=80)
@given(_SETS, _STEPS, _SETS, _FUTURES, st.booleans())
def test_a_fork_answers_what_really_applying_answers(
    past: list[list[Change]],
    steps: list[tuple[str, int]],
    changes: list[list[Change]],
    future: list[tuple[str, int]],
    folds: bool,  # noqa: FBT001
) -> None:
    base = _story(_joined(past), steps)
    if folds:
        # What was told and not derived yet counts as well, but is nothing that either of them changes next.
        base.engine.fold(change_set(*_joined(changes)[:2], number=len(base.log)), len(base.log))
        base.log.append(change_set())
    fork = base.fork(_joined(changes))
    before = _all(base.engine)
    fork.play(future)
    told = _all(fork.engine)
    assert _all(base.engine) == before
    base.follow(fork)
    assert base.answers == fork.answers or folds
    assert _all(base.engine) == told
    scratch = Engine(_SEALER)
    scratch.load(base.engine.state().items())
    assert _records(scratch.everything()) == _all(base.engine)[0]


@settings(max_examples=40)
@given(_SETS, _STEPS, st.lists(st.tuples(_SETS, _FUTURES), min_size=3, max_size=3))
def test_forks_do_not_see_one_another(
    past: list[list[Change]],
    steps: list[tuple[str, int]],
    futures: list[tuple[list[list[Change]], list[tuple[str, int]]]],
) -> None:
    """Two forks of one engine take turns, and forks of the first as well: each is as if it were alone."""
    base = _story(_joined(past), steps)
    before = _all(base.engine)
    one, other = (base.fork(_joined(changes)) for changes, _ in futures[:2])
    for at in range(max(len(future) for _, future in futures[:2])):
        for story, (_, future) in zip((one, other), futures, strict=False):
            story.play(future[at : at + 1])
    between = _all(one.engine)
    changes, future = futures[2]
    inner = one.fork(_joined(changes))
    inner.play(future)
    innermost = inner.fork([])
    innermost.play([("tick", 30), ("reject", 3)])
    told = [_all(story.engine) for story in (other, innermost)]
    assert _all(one.engine) == between
    assert _all(base.engine) == before
    for story, wanted in zip((other, innermost), told, strict=True):
        alone = _story(_joined(past), steps)
        alone.follow(story)
        assert alone.answers == story.answers
        assert _all(alone.engine) == wanted


@settings(max_examples=30)
@given(_SETS, _STEPS, _SETS, _FUTURES)
def test_the_base_goes_on_as_if_it_had_never_been_forked(
    past: list[list[Change]], steps: list[tuple[str, int]], changes: list[list[Change]], future: list[tuple[str, int]]
) -> None:
    base, never = _story(_joined(past), steps), _story(_joined(past), steps)
    for _ in range(2):
        fork = base.fork(_joined(changes))
        fork.play(future)
        base.left = _joined(changes)
        base.play(future[::-1])
    never.follow(base)
    assert never.answers == base.answers
    assert _all(base.engine) == _all(never.engine)


def _told(engine: Engine, *changes: Change) -> Update:
    return engine.apply(change_set(*changes, number=engine.offset + 1), engine.offset + 1)


@pytest.fixture(scope="module")
def sizes() -> tuple[Engine, Engine]:
    return _engine(100), _engine(2_000)


@pytest.mark.parametrize("edit", sorted(_EDITS))
def test_a_fork_copies_what_a_change_touches_and_no_more(sizes: tuple[Engine, Engine], edit: str) -> None:
    few, many = [base.fork() for base in sizes]
    assert few.graph.work.copies == many.graph.work.copies == 0
    for fork in (few, many):
        _told(fork, _EDITS[edit])
    assert few.graph.work == many.graph.work
    assert few.graph.work.copies <= 4 * few.graph.work.items + 60
    assert _tables(few) == _tables(many)


def _tables(engine: Engine) -> dict[str, int]:
    """How much each table of a fork has of its own. Lists are copied whole: see decision 40."""
    held = [(name, one) for name, one in _reached(engine).items() if not isinstance(one, list)]
    return {name: len(one._own) + len(one._gone) if isinstance(one, Branch) else len(one) for name, one in held}


def _reached(engine: Engine) -> dict[str, Any]:
    """What the objects of an engine hold that can change, by where it hangs; of tables what they have of their own."""
    found: dict[str, Any] = {}
    todo: list[tuple[str, Any]] = [("", engine)]
    seen = set()
    while todo:
        name, one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Branch | dict | list | set):
            found[name] = one
            inside = one._own if isinstance(one, Branch) else one if isinstance(one, dict) else {}
            todo += [(f"{name}[{key}]", value) for key, value in inside.items() if not isinstance(value, Cell)]
        elif type(one).__module__.startswith("engine.") and hasattr(one, "__dict__"):
            todo += [(f"{name}.{key}", value) for key, value in vars(one).items()]
    return found


_MAY_BE_SHARED = {
    "_indexes",  # A constant.
    "_held",  # Made anew, never changed.
    "_times",  # Copied before it changes.
}


def test_a_fork_shares_nothing_that_changes(sizes: tuple[Engine, Engine]) -> None:
    base = sizes[0]
    mine = {id(one): name for name, one in _reached(base).items()}
    shared = [name for one in _reached(base.fork()).values() if (name := mine.get(id(one))) is not None]
    assert {name.rpartition(".")[2] for name in shared} == _MAY_BE_SHARED


def test_a_fork_of_what_was_told_something_since_says_so() -> None:
    base = _engine(3)
    fork = base.fork()
    inner, other = fork.fork(), fork.fork()
    _told(inner, _route("r1", "s1", "/edited", 2))
    _told(fork, _route("r1", "s1", "/else", 2))
    for stale in (inner, other):
        _is_stale(stale)
    _told(fork, _route("r2", "s2", "/else", 2))
    inner = fork.fork()
    base.fold(change_set(number=9), 9)
    for stale in (fork, inner):
        _is_stale(stale)
    assert base.fork().everything() == base.everything()


def _is_stale(fork: Engine) -> None:
    asked = (
        fork.everything,
        fork.state,
        fork.fork,
        lambda: fork.load(()),
        lambda: fork.fold(change_set(), 10),
        lambda: _told(fork, _route("new", "s1")),
    )
    for one in asked:
        with pytest.raises(StaleFork, match="fork it anew"):
            one()


def test_a_base_that_moves_under_a_query_is_no_failure_of_the_query() -> None:
    """A query that raises is data; that the base of a fork has changed meanwhile is not."""
    base = _engine(3)
    fork = base.fork()
    read = fork.graph.read

    def meanwhile(ref: Ref) -> Resource | None:
        base.fold(change_set(number=9), 9)
        return read(ref)

    fork.graph.read = meanwhile  # type: ignore[method-assign]
    with pytest.raises(StaleFork):
        _told(fork, _route("r1", "s1", "/edited", 2))


def test_an_answer_that_is_made_while_the_base_moves_is_not_given() -> None:
    base = _engine(3)
    fork = base.fork()

    def meanwhile() -> None:
        base.fold(change_set(number=9), 9)

    fork._wake_at = meanwhile  # type: ignore[method-assign]
    with pytest.raises(StaleFork):
        _told(fork, _route("r1", "s1", "/edited", 2))


def test_a_fork_runs_what_its_base_would_run() -> None:
    base = _engine(30)
    fork = base.fork()
    before = copy(base.graph.work)
    for edit in _EDITS.values():
        _told(fork, edit)
    for edit in _EDITS.values():
        _told(base, edit)
    assert fork.graph.work.reruns == base.graph.work.reruns - before.reruns
    assert fork.graph.work.items == base.graph.work.items - before.items


def test_what_had_expired_before_the_fork_is_forgotten_in_it() -> None:
    base = _Story([])
    base.tell(gateway("gw", *_GATEWAYS[1]), *_CERTIFICATES[:2], route("r"))
    base.tell(Tick(), source="clock", time=_at(3))
    fork = base.fork([])
    fork.tell(*map(delete, _CERTIFICATES[:2]))
    fork.tell(Tick(), source="clock", time=_at(4))
    told = _all(fork.engine)
    base.follow(fork)
    assert _all(base.engine) == told
