"""A virtual host that several routes share and proxies rejected: it is left out, and nobody says that a route is held."""

from __future__ import annotations

from typing import Any

import pytest

from engine.events import Quarantine
from engine.ref import parse_ref
from engine.update import FragmentKind
from streams.cli.commands import quarantine, show, status, wait
from streams.cli.proposal import _of_quarantine
from streams.cli.reading import rows
from streams.codec import decode_fragment
from streams.memory import MemoryLog
from streams.topics import Topic
from streams.view import read_table
from streams.xds.quarantine import _objects
from tests.streams.test_client import _BASE, resolved
from tests.streams.toy import append
from tests.support.manifests import change_set, route

_HOST = "listener~8080~shop_example_com"
_A, _B = (f"local/gateway.networking.k8s.io/HTTPRoute/default/{one}" for one in "ab")


async def _condemned() -> tuple[MemoryLog, dict[str, Any]]:
    """Routes of one hostname, changed at one offset; proxies reject its virtual host."""
    log = MemoryLog()
    first, second = (
        [route(name, "pay-v1", f"/{name}", generation, hostnames=["shop.example.com"]) for name in "ab"]
        for generation in (1, 2)
    )
    one = await resolved(log, _BASE, first, second)
    there = [decode_fragment(record) for record in (await read_table(log, Topic.XDS, 0)).rows.values()]
    (guilty,) = (one for one in there if one.key.kind is FragmentKind.VIRTUAL_HOST and one.key.name == _HOST)
    found = Quarantine(guilty.key.gateway, str(guilty.key), guilty.version, _objects(guilty, there), "no such thing", "1.40.0")
    await append(log, change_set(found, number=9), source="publisher")
    async for batch in one.missing():
        await one.apply(batch)
    return log, await rows(log, Topic.STATE, 0)


def _row(state: dict[str, Any]) -> dict[str, Any]:
    (found,) = (row for key, row in state.items() if key.startswith("quarantine/"))
    return found  # type: ignore[no-any-return]


async def test_no_generation_is_said_to_run_that_runs_nowhere() -> None:
    _, state = await _condemned()
    told = quarantine._told(_row(state), quarantine._revisions([_row(state)], state), {})
    assert told["left_out"] == _HOST
    assert [(one["held"], one["runs"]) for one in told["objects"]] == [(False, 1), (False, 2), (False, 2)]
    (line,) = quarantine._lines(told)
    assert line[:4] == ("default/gw", f"virtual host {_HOST}", "left out: requests to it get no route", "-")
    whole = quarantine._whole(told)
    assert f"left out   virtual host {_HOST}: requests to it get no route" in whole
    assert "HTTPRoute/default/a  as it is" in whole
    assert "held" not in whole
    assert show._served(parse_ref(_A), state[f"resource/{_A}"], state) is None
    assert status._guilty(_row(state)) == f"virtual host {_HOST} (left out: requests to it get no route)"
    (note,) = _of_quarantine(_row(state), {parse_ref(_B)})
    assert note.startswith(f"virtual host {_HOST} is left out at Gateway default/gw")


async def test_who_waits_for_a_route_hears_that_its_host_is_left_out() -> None:
    log, state = await _condemned()
    offset = state[f"resource/{_A}"]["offset"]
    found = await wait._held(log, 0, wait._Wish(offset, None, "", 1.0), offset)
    assert found == [{"object": one, "left_out": _HOST, "error": "no such thing"} for one in (_A, _B)]
    assert wait._instead(_HOST).endswith("that is left out: requests to it get no route")


@pytest.mark.parametrize("named", [_A, "local/gateway.networking.k8s.io/Gateway/default/gw"])
async def test_a_host_that_one_object_makes_is_left_out_and_holds_it(named: str) -> None:
    _, state = await _condemned()
    row = {**_row(state), "held": [named]}
    told = quarantine._told(row, quarantine._revisions([row], state), {})
    assert [one["ref"] for one in told["objects"] if one["held"]] == [named]
    assert [line[1] for line in quarantine._lines(told)] == [f"virtual host {_HOST}", "/".join(named.split("/")[2:])]
