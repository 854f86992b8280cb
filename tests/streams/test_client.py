"""Programs of others read whole updates, typed, from where they stopped; what is written is what the schemas say."""

from __future__ import annotations

import asyncio
import copy
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
import yaml

from engine.engine import Engine
from engine.events import Change
from engine.seal import KEY_BYTES, Sealer
from streams.cli.reference import DIRECTORY
from streams.cli.schemas import incompatible, schemas
from streams.client import NOW, Route, UnknownToken, Where, sentences
from streams.client.following import begin, change_set_events, nodes, update_events
from streams.client.values import NodeChanged, Update
from streams.domain import Domain, DomainOptions
from streams.memory import MemoryLog
from streams.ports import Log, LogBehind, Outgoing
from streams.topics import CONTROL, Topic, split_key
from tests.streams.toy import append, forget, kafka_log, records
from tests.support.manifests import change_set, delete, endpoints, gateway, route, service

_RELEASED = Path(__file__).with_name("released")
_BASE = [gateway(), *(one for name in ("pay-v1", "pay-v2") for one in (service(name), endpoints(name)))]


def shop(backend: str, host: str = "shop.example.com", name: str = "shop") -> Change:
    return route(name, backend, hostnames=[host])


async def resolved(log: Log, *sets: list[Change]) -> Domain:
    """The log with these change sets, resolved by the real engine, one after another."""
    one = Domain(log, lambda: Engine(Sealer(bytes(KEY_BYTES))), DomainOptions(version="t"))
    await one.acquire()
    for number, changes in enumerate(sets):
        await append(log, change_set(*changes, number=number), source="files")
        async for batch in one.missing():
            await one.apply(batch)
    return one


async def taken(some: AsyncIterator[Any], count: int) -> list[Any]:
    async with asyncio.timeout(240):
        return [await anext(some) for _ in range(count)]


_KEY = "route/local/gateway.networking.k8s.io/HTTPRoute/default/shop"


async def test_routes_come_as_they_are_then_each_change_and_their_end(log: Log) -> None:
    one = await resolved(log, _BASE, [shop("pay-v1")])
    followed = nodes(log, 0, Where(kind="route"))
    (first,) = await taken(followed, 1)
    assert first.snapshot
    assert first.set.keys() == {_KEY}
    assert first.set[_KEY].hostnames == ("shop.example.com",)
    assert first.set[_KEY].gateways == ("local/gateway.networking.k8s.io/Gateway/default/gw",)
    await one.release()
    one = await resolved(log, [shop("pay-v2")])
    (second,) = await taken(followed, 1)
    assert (second.snapshot, second.set[_KEY].rules[0].backends[0].backend) == (False, "local//Service/default/pay-v2:80")
    await one.release()
    await resolved(log, [delete(shop("pay-v2"))])
    (third,) = await taken(followed, 1)
    assert (third.set, third.removed) == ({}, {_KEY})
    # From each token what came behind it, and nothing else.
    again = await taken(nodes(log, 0, Where(kind="route"), first.token), 1)
    assert not again[0].snapshot
    assert again[0].removed == {_KEY}
    (rest,) = await taken(nodes(log, 0, Where(kind="route"), second.token), 1)
    assert (rest.offset, rest.removed) == (third.offset, {_KEY})


async def test_a_token_before_what_was_compacted_begins_anew() -> None:
    log = MemoryLog()
    await resolved(log, _BASE, [shop("pay-v1")], [shop("pay-v1", name="other")])
    (first,) = await taken(nodes(log, 0, Where(kind="route")), 1)
    await resolved(log, [shop("pay-v2")], [delete(shop("pay-v2"))])
    log.compact(Topic.GRAPH, 0)
    await resolved(log, [shop("pay-v2", name="other")])
    (again,) = await taken(nodes(log, 0, Where(kind="route"), first.token), 1)
    assert again.snapshot
    assert [one.removesuffix("other") for one in again.set] == [_KEY.removesuffix("shop")]


async def test_filters_let_by_what_they_name_and_tell_what_left_them() -> None:
    log = MemoryLog()
    await resolved(log, _BASE, [shop("pay-v1"), shop("pay-v1", "b.example.com", "other")])
    where = Where(host="shop.example.com", namespace="default", kind="route")
    followed = nodes(log, 0, where)
    (first,) = await taken(followed, 1)
    assert first.set.keys() == {_KEY}
    await resolved(log, [shop("pay-v1", "c.example.com")])
    (second,) = await taken(followed, 1)
    assert (second.set, second.removed) == ({}, {_KEY})
    assert not (await taken(nodes(log, 0, Where(namespace="other")), 1))[0].set


def test_a_node_whose_hosts_are_none_has_none() -> None:
    odd = NodeChanged(node=_KEY, verb="changed", before={"hostnames": None}, after={"hostnames": 3})
    assert not Where(host="shop.example.com").touches(odd)
    assert Where(namespace="default").touches(odd)


async def test_updates_say_nodes_as_they_were_and_are_and_go_on_from_a_token(log: Log) -> None:
    await resolved(log, _BASE, [shop("pay-v1")], [shop("pay-v2")], [delete(shop("pay-v2"))])
    found = await taken(update_events(log, 0), 5)  # the engine's own first
    told = [[word for change in one.value.routing for word in sentences(change)] for one in found]
    host = "host shop.example.com: /"
    assert told[2:] == [
        [f"{host} is new, goes to default/pay-v1:80"],
        [f"{host} moved from default/pay-v1:80 to default/pay-v2:80"],
        [f"{host} is gone, went to default/pay-v2:80"],
    ]
    changed = next(one for one in found[3].value.routing if one.node == _KEY)
    assert changed.verb == "changed"
    assert Route.model_validate(changed.before) != Route.model_validate(changed.after)
    assert await taken(update_events(log, 0, found[2].token), 2) == found[3:]
    sets = await taken(change_set_events(log, 0), 5)
    assert [one.value.changes[0]["verb"] for one in sets] == ["engine_changed", "put", "put", "put", "delete"]
    assert await taken(change_set_events(log, 0, sets[3].token), 1) == sets[4:]


async def test_a_strange_or_later_token_is_refused() -> None:
    log = MemoryLog()
    await resolved(log, _BASE)
    with pytest.raises(UnknownToken, match="begin without one"):
        await anext(update_events(log, 0, "g.1.2.3"))
    with pytest.raises(UnknownToken):
        await anext(nodes(log, 0, Where(), "g.1.x.3"))
    with pytest.raises(LogBehind, match="another log"):
        await anext(update_events(log, 0, "u.1000"))
    late = asyncio.ensure_future(anext(update_events(log, 0, NOW)))
    await asyncio.sleep(0)
    await resolved(log, [shop("pay-v1")])
    assert (await late).value.changes[0].verb == "put"


def _shops(number: int) -> list[list[Change]]:
    return [[shop(f"pay-v{1 + one % 2}")] for one in range(number)]


async def test_a_token_of_a_log_that_was_made_anew_misses_nothing() -> None:
    """Another log of the same length, whose records stand where the old ones stood, and say the same but for a name."""
    before, after = MemoryLog(), MemoryLog()
    await resolved(before, _BASE, [shop("pay-v1", "old.example.com", "old")], *_shops(4))
    await resolved(after, _BASE, [shop("pay-v1", "new.example.com", "new")], *reversed(_shops(8)))
    for kind in (update_events, change_set_events):
        event = (await taken(kind(before, 0), 5))[-1]
        with pytest.raises(LogBehind, match="Begin without a token"):
            await anext(kind(after, 0, event.token))
        # Where the token is of this log, and one of a version that knew no more than where to go on.
        assert (await taken(kind(before, 0, event.token), 1))[0].value != event.value
        assert await taken(kind(before, 0, ".".join(event.token.split(".")[:2])), 1)
    (old,) = await taken(nodes(before, 0, Where(kind="route")), 1)
    (new,) = await taken(nodes(after, 0, Where(kind="route"), old.token), 1)
    assert (new.snapshot, sorted(one.rsplit("/", 1)[1] for one in new.set)) == (True, ["new", "shop"])
    again = nodes(before, 0, Where(kind="route"), ".".join(old.token.split(".")[:4]))
    late = asyncio.ensure_future(anext(again))
    await resolved(before, [delete(shop("pay-v2"))])
    assert [(one.snapshot, one.removed) for one in await asyncio.gather(late)] == [(False, {_KEY})]


@pytest.mark.kafka
@pytest.mark.parametrize(("topic", "kind"), [(Topic.UPDATES, update_events), (Topic.CHANGES, change_set_events)])
async def test_a_token_before_what_was_deleted_is_refused(broker: str, topic: Topic, kind: Callable[..., Any]) -> None:
    """What was missed cannot be told: it went on where the topic begins, and nobody knew."""
    async with kafka_log(broker) as log:
        await resolved(log, _BASE, *_shops(3))
        first, second, *rest = await taken(kind(log, 0), 5)
        old, kept = (int(one.token.split(".")[1]) for one in (first, second))
        await forget(log, topic, kept)
        with pytest.raises(LogBehind, match=f"begins at offset {kept}, the token is of {old}"):
            await anext(kind(log, 0, first.token))
        assert await taken(kind(log, 0, second.token), 3) == rest


async def test_what_a_hung_transaction_repeats_behind_a_token_is_passed_over(log: Log) -> None:
    await resolved(log, _BASE, [shop("pay-v1")])
    last = (await taken(update_events(log, 0), 3))[-1]
    again = [Outgoing(one.topic, 0, one.key, one.value, one.headers) for one in await records(log, Topic.UPDATES)]
    async with log.writer("hung") as writer:
        await writer.write(again)
    now = (await begin(log, Topic.UPDATES, 0, NOW)).token
    await resolved(log, [shop("pay-v2")])
    for token in (last.token, now):
        (event,) = await taken(update_events(log, 0, token), 1)
        assert event.value.offset > last.value.offset


@pytest.mark.parametrize("topic", [Topic.UPDATES, Topic.CHANGES])
async def test_now_has_a_token_before_anything_came(log: Log, topic: Topic) -> None:
    kind = update_events if topic is Topic.UPDATES else change_set_events
    for sets in ((), (_BASE,)):
        await resolved(log, *sets)
        token = (await begin(log, topic, 0, NOW)).token
        await resolved(log, [shop("pay-v2", f"h{len(sets)}.example.com")])
        (event,) = await taken(kind(log, 0, token), 1)
        assert event.token == (await begin(log, topic, 0, NOW)).token


async def test_what_a_stranger_wrote_or_a_hung_transaction_repeats_is_passed_over() -> None:
    log = MemoryLog()
    await resolved(log, _BASE)
    mine = [one for one in await records(log, Topic.UPDATES) if one.headers]
    strange = [Outgoing(topic, 0, b"default", b"{]") for topic in (Topic.UPDATES, Topic.CHANGES)]
    odd = Outgoing(Topic.GRAPH, 0, b"default/route/odd", b'{"route": 3}', (("offset", b"1"), ("index", b"9")))
    again = [Outgoing(one.topic, 0, one.key, one.value, one.headers) for one in mine]
    async with log.writer("stranger") as writer:
        await writer.write([*strange, odd, *again])
    await resolved(log, [shop("pay-v1")])
    offsets = [one.value.offset for one in await taken(update_events(log, 0), 3)]
    assert offsets == sorted(set(offsets))
    assert (await taken(nodes(log, 0, Where(kind="route")), 1))[0].set.keys() == {_KEY}


@pytest.mark.parametrize("topic", [Topic.CHANGES, Topic.UPDATES, Topic.GRAPH])
async def test_public_records_are_cloud_events_of_their_schemas(topic: Topic) -> None:
    log = MemoryLog()
    await resolved(log, _BASE, [shop("pay-v1")], [delete(shop("pay-v1"))])
    seen = set()
    for one in await records(log, topic):
        if (topic is Topic.GRAPH and split_key(one.key or b"")[1].startswith(CONTROL)) or one.value == b"{}":
            continue
        assert one.header("ce_specversion") == "1.0"
        assert one.header("ce_time")
        seen.add((one.header("ce_source"), one.header("ce_id")))
        if one.value is None:
            assert not one.header("ce_dataschema")
            continue
        assert one.header("content-type") == "application/json"
        name = ".".join(one.header("ce_dataschema").split("/")[-2:])
        schema = schemas()[name]
        jsonschema.Draft202012Validator(_closed(schema)).validate(orjson.loads(one.value))
    assert len(seen) >= 3


def _closed(schema: Any) -> Any:
    """Nothing is written that the schema does not tell."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(one) for name, one in schema.items()}
    return {**closed, "additionalProperties": False} if isinstance(schema.get("properties"), dict) else closed


@pytest.mark.parametrize("name", sorted(schemas()))
def test_schemas_break_no_reader_of_what_was_released(name: str) -> None:
    """A change that does so is another version, and both files stay in `released`."""
    released = json.loads((_RELEASED / f"{name}.json").read_text())
    assert incompatible(released, schemas()[name]) == []


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["properties", "offset"], None, "/offset: is gone"),
        (["properties", "offset", "type"], "string", "/offset: type was 'integer', is 'string'"),
        (["required"], [], "/offset: may be missing now"),
        (["$defs", "NodeChanged", "properties", "verb", "enum"], ["added"], "/routing/items/verb: enum"),
        (["properties", "more"], {"type": "string"}, None),
        (["$defs", "Changed", "properties", "why"], {"type": "string"}, None),
    ],
)
def test_a_change_that_breaks_readers_is_found(path: list[str], value: Any, says: str | None) -> None:
    old = schemas()["update.v1"]
    new = copy.deepcopy(old)
    place = new
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    if value is None:
        del place[path[-1]]
    found = incompatible(old, new)
    assert (found == []) if says is None else any(one.startswith(says) for one in found), found


def test_the_asyncapi_document_names_what_is_there() -> None:
    document = yaml.safe_load((DIRECTORY / "asyncapi.yaml").read_text())
    assert document["asyncapi"] == "3.0.0"
    assert {one["address"] for one in document["channels"].values()} == {"penstock.changes", "penstock.updates", "penstock.graph"}
    refs = [one for one in _refs(document) if one.startswith("#/")]
    for ref in refs:
        place = document
        for step in ref[2:].split("/"):
            place = place[step]
    files = [one for one in _refs(document) if not one.startswith("#/")]
    assert len(files) == 3
    for file in files:
        jsonschema.Draft202012Validator.check_schema(json.loads((DIRECTORY / file).read_text()))


def _refs(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [one if name == "$ref" else ref for name, one in value.items() for ref in ([one] if name == "$ref" else _refs(one))]
    return [ref for one in value for ref in _refs(one)] if isinstance(value, list) else []


def test_an_update_of_before_there_were_schemas_is_read() -> None:
    old = {"offset": 1, "changes": [{"verb": "tick"}], "downstream": {}}
    assert Update.model_validate(old).routing == ()


def test_who_reads_the_stream_need_not_have_the_engine() -> None:
    script = "import streams.client, sys; print(*{one.split('.')[0] for one in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {"engine", "faust", "grpc", "kubernetes_asyncio"}.isdisjoint(done.stdout.split())
