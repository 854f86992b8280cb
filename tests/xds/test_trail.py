"""What is suspected first when a proxy rejects a table: what changed since one took it, and never less than that."""

from __future__ import annotations

from dataclasses import replace

from engine.update import Fragment
from streams.xds.assembly import Assembly
from streams.xds.messages import ROUTES
from streams.xds.parts import parts, untried
from streams.xds.trail import Trail
from tests.xds.test_withhold import _assembly, _base, _route

_TABLE = ROUTES, "rc"


def suspects(assembly: Assembly) -> list[str]:
    return [one.key.name for one in untried(assembly, _TABLE)]


def took(assembly: Assembly) -> None:
    assembly.trail.took(_TABLE, assembly.trail.turn)


def test_what_changed_since_a_proxy_took_the_table_is_suspected() -> None:
    assembly = _assembly(_route("a", "/a"), _route("b", "/b"))
    assert suspects(assembly) == []  # Nobody took it yet: it may be anything.
    took(assembly)
    assert suspects(assembly) == []
    for number, name in enumerate(("a", "c", "b", "a"), 1):
        one = _route(name, f"/{number}")
        assembly.apply({one.key: one}, number)
    assert suspects(assembly) == ["c", "b", "a"]
    assert [one.key.name for one in parts(assembly, _TABLE)][-3:] == ["c", "b", "a"]
    took(assembly)
    assert suspects(assembly) == []


def test_an_answer_on_an_older_state_clears_only_that() -> None:
    assembly = _assembly(_route("a", "/a"))
    took(assembly)
    one, two = _route("a", "/1"), _route("b", "/2")
    assembly.apply({one.key: one}, 1)
    turn = assembly.trail.turn
    assembly.apply({two.key: two}, 2)
    assembly.trail.took(_TABLE, turn)
    assert suspects(assembly) == ["b"]
    assembly.trail.took(_TABLE, turn - 1)
    assert suspects(assembly) == ["b"]


def test_what_is_gone_or_of_another_table_or_withheld_is_not() -> None:
    assembly = _assembly(_route("a", "/a"))
    took(assembly)
    bad, gone, elsewhere = _route("bad", "/bad"), _route("gone", "/gone"), replace(_route("e", "/e"), parent="other")
    assembly.apply({one.key: one for one in (bad, gone, elsewhere)}, 1)
    assembly.apply({gone.key: None}, 2)
    assert suspects(assembly) == ["bad"]
    assembly.withhold([bad])
    assert suspects(assembly) == []
    assert bad not in parts(assembly, _TABLE)
    took(assembly)
    assembly.release(bad.key)
    assert suspects(assembly) == ["bad"]  # It was not in what was taken.


def test_a_virtual_host_and_the_tables_own_bytes_are_suspected_too() -> None:
    assembly = _assembly()
    took(assembly)
    changed = [replace(one, version="new") for one in _base()]
    assembly.apply({one.key: one for one in changed}, 1)
    assert sorted(suspects(assembly)) == ["good", "host", "rc"]


def test_where_it_does_not_reach_everything_is_suspected() -> None:
    """Never only some of what changed."""

    def keys(*numbers: int) -> list[Fragment]:
        return [_route(f"r{number}", "/") for number in numbers]

    trail = Trail(3)
    trail.changed(one.key for one in keys(1))
    assert trail.since(_TABLE) is None
    trail.took(_TABLE, 1)
    assert trail.since(_TABLE) == []
    trail.changed(one.key for one in keys(2, 3))
    found = trail.since(_TABLE)
    assert found is not None
    assert [one.name for one in found] == ["r2", "r3"]
    trail.changed(one.key for one in keys(4))
    assert trail.since(_TABLE) is None
    trail.took(_TABLE, 2)
    assert [one.name for one in trail.since(_TABLE) or ()] == ["r4"]
    trail.changed(one.key for one in keys(5, 6, 7, 8))
    assert trail.since(_TABLE) is None
