"""The examples go on, whatever stands in the stream: what nobody can take is left out, cut or given up, and told."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import dns.zone
import psycopg
import pytest
from aiohttp import web

from streams.client import Event, Gateway, Route, Update
from streams.client.following import update_events
from streams.memory import MemoryLog
from tests.streams.test_client import _BASE, resolved, shop, taken
from tests.support.postgresql import postgresql

_EXAMPLES = Path(__file__).parents[2] / "docs/examples"
_GATEWAY = "local/gateway.networking.k8s.io/Gateway/default/gw"


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, _EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def route(*hosts: str, gateway: str = _GATEWAY) -> Route:
    name = gateway.replace("Gateway/", "HTTPRoute/")
    return Route.model_validate({"route": name, "generation": 1, "hostnames": hosts, "gateways": [gateway]})


def gateway(*addresses: str, name: str = _GATEWAY) -> Gateway:
    values = [{"type": "IPAddress" if one[0].isdigit() else "Hostname", "value": one} for one in addresses]
    return Gateway.model_validate({"gateway": name, "addresses": values})


@pytest.mark.parametrize(
    ("host", "addresses", "lines", "left_out"),
    [
        ("example.com", ["lb.example.net"], [], 1),
        ("ns.example.com", ["lb.example.net"], [], 1),
        ("example.com", ["lb.example.net", "10.0.0.1"], ["example.com. 60 IN A 10.0.0.1"], 1),
        ("a.example.com", ["lb2.example.net", "lb1.example.net"], ["a.example.com. 60 IN CNAME lb1.example.net."], 1),
        ("a.example.com", ["lb.example.net", "2001:db8::1"], ["a.example.com. 60 IN AAAA 2001:db8::1"], 1),
        ("*.example.com", ["LB.example.net."], ["*.example.com. 60 IN CNAME lb.example.net."], 0),
        ("A.Example.com", ["10.0.0.1"], ["a.example.com. 60 IN A 10.0.0.1"], 0),
        (f"{'a' * 64}.example.com", ["10.0.0.1"], [], 1),
        (f"{'a.' * 130}example.com", ["10.0.0.1"], [], 1),
        ("a\n$INCLUDE x.example.com", ["10.0.0.1"], [], 1),
        ("a.example.com", ["a.example.com", f"{'b' * 64}.net", "a b.net"], [], 3),
        ("other.org", ["lb.example.net"], [], 0),
        ("badexample.com", ["10.0.0.1"], [], 0),
    ],
)
@pytest.mark.parametrize("zone", ["example.com", "Example.COM"])
def test_a_zone_has_what_a_zone_can_say(host: str, addresses: list[str], lines: list[str], left_out: int, zone: str) -> None:
    told: list[str] = []
    one = example("zone")
    nodes = [route(host), route("good.example.com", gateway=_GATEWAY + "2"), gateway(*addresses)]
    found = one.records([*nodes, gateway("10.9.9.9", name=_GATEWAY + "2")], zone, told.append)
    assert found == {*lines, "good.example.com. 60 IN A 10.9.9.9"}
    assert len(told) == left_out
    assert all(host.lower().encode("unicode_escape").decode()[:300] in words for words in told)
    text = one.text_of(found, zone, "")
    assert dns.zone.from_text(text, origin=zone, check_origin=False)
    assert one.text_of(found, zone, text) == text


def test_a_hostname_of_two_gateways_is_one_cname_at_most() -> None:
    other = _GATEWAY + "2"
    nodes = [route("a.example.com"), route("a.example.com", gateway=other), gateway("lb.example.net"), gateway("10.0.0.1", name=other)]
    assert example("zone").records(nodes, "example.com") == {"a.example.com. 60 IN A 10.0.0.1"}


async def test_an_audit_says_each_sentence_once() -> None:
    log = MemoryLog()
    routes = [shop("pay-v1", f"h{one}.example.com", f"r{one}") for one in range(20)]
    await resolved(log, _BASE, routes)
    event = (await taken(update_events(log, 0), 3))[-1]
    rows = example("audit").rows_of(event.value)
    assert [row[-1] for row in rows] == [[f"host h{one}.example.com: / is new, goes to default/pay-v1:80"] for one in range(20)]
    # What became of routes that were not changed themselves stands with the first change.
    services = event.value.model_copy(update={"changes": event.value.changes[:2]})
    assert [len(row[-1]) for row in example("audit").rows_of(services)] == [19, 1]


async def test_an_audit_takes_what_postgresql_does_not() -> None:
    audit = example("audit")
    nul: dict[str, Any] = {"offset": 7, "time": "at noon", "actor": "evil\0", "changes": [{"verb": "refused", "location": "a\0.yaml"}]}
    route_ = {"route": "c/g/HTTPRoute/d/r", "generation": 1, "hostnames": ["a\0.example"], "gateways": [], "rules": [{"matches": []}]}
    nul["routing"] = [{"node": "route/c/g/HTTPRoute/d/r", "verb": "added", "after": route_}]
    with postgresql() as conninfo:
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
            await connection.execute(audit._TABLES)
            await audit.write(connection, Event(Update.model_validate(nul), "u.8"))
            found = await (await connection.execute("SELECT actor, object, time, routing FROM penstock_audit")).fetchall()
            ((*row, (sentence,)),) = found
            assert row == ["evil", "a.yaml", None]
            assert sentence.startswith("host a")
            assert await (await connection.execute("SELECT token FROM penstock_position")).fetchone() == ("u.8",)


@pytest.mark.parametrize(("status", "posts"), [(400, 1), (404, 1), (413, 1), (408, 2), (429, 2), (500, 2)])
async def test_a_chat_that_refuses_a_message_for_good_holds_nothing_up(
    status: int, posts: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    alert = example("alert")
    monkeypatch.setattr(alert, "_AGAIN_SECONDS", 0.01)
    heard: list[str] = []

    async def receive(request: web.Request) -> web.Response:
        heard.append((await request.json())["text"])
        return web.Response(status=status if len(heard) == 1 else 200, text="msg_too_long")

    app = web.Application()
    app.add_routes([web.post("/hook", receive)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as session:
            hook = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
            await alert.send(session, hook, "\n".join(["line"] * 9_000), "key-1")
    finally:
        await runner.cleanup()
    assert len(heard) == posts
    assert (capfd.readouterr().err == f"given up key-1: the webhook answers {status} msg_too_long\n") is (posts == 1)
    assert len(heard[0]) <= 4_000
    shown = heard[0].split("\n")
    assert shown[-1] == f"... and {9_000 - len(shown) + 1} more lines"
    assert set(shown[:-1]) == {"line"}


def test_a_line_that_is_too_long_is_cut_itself() -> None:
    alert = example("alert")
    assert alert.cut("short\nis whole") == "short\nis whole"
    assert len(alert.cut("x" * 50_000)) <= 4_000
