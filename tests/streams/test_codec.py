"""Change sets, updates and fragments survive the wire; what is no change set is refused with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.changes import Garbage, from_json, to_json
from engine.events import (
    Admitted,
    ChangeSet,
    Confirm,
    Delete,
    EngineChanged,
    Lift,
    Override,
    Pin,
    Put,
    Quarantine,
    Reachable,
    Refused,
    SyncBegin,
    SyncEnd,
    Tick,
    Unpin,
    Unreachable,
)
from engine.ref import Ref
from engine.update import Delta, Fragment, FragmentKey, FragmentKind, Update
from streams.codec import (
    PART_BYTES,
    NewerSchema,
    change_summary,
    decode_change_set,
    decode_fragment,
    encode_change_set,
    encode_update,
)
from streams.ports import Outgoing, Record
from streams.topics import OUTPUTS, PROGRESS, Topic, split_key
from tests.streams.toy import TIME, change_set, fragment, put, thing

_words = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), max_size=12)
_refs = st.builds(Ref, _words, _words, _words, _words, _words)
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=8,
)
_objects = st.builds(
    lambda rest, meta, generation: {**rest, "metadata": {**meta, "generation": generation}},
    st.dictionaries(_words, _json, max_size=3),
    st.dictionaries(_words, _json, max_size=2),
    st.integers(0, 2**40),
)
_changes = st.one_of(
    st.builds(Put, _refs, _objects),
    st.builds(Delete, _refs, st.booleans()),
    st.builds(Refused, _words, st.none() | _refs, _words),
    st.builds(Admitted, _words),
    st.builds(
        Quarantine,
        _refs,
        _words,
        _words,
        st.lists(st.tuples(_refs, st.integers(0, 2**40)), max_size=3).map(tuple),
        _words,
        _words,
    ),
    st.builds(Lift, _refs, _words),
    st.builds(Tick),
    st.builds(SyncBegin),
    st.builds(SyncEnd),
    st.builds(EngineChanged, _words),
    st.builds(Pin, _words, st.none() | _refs, st.integers(0, 2**40), _words, _words, st.booleans()),
    st.builds(Override, _words, _refs, st.none() | _objects, st.none() | _objects),
    st.builds(Confirm, _words),
    st.builds(Unpin, _words),
    st.builds(Unreachable, _words),
    st.just(Reachable()),
)
_sets = st.builds(
    ChangeSet, _words, _words, _words, _words, st.just(TIME), _words, st.lists(_changes, max_size=5).map(tuple)
)


def recorded(one: Outgoing, offset: int = 0) -> Record:
    return Record(one.topic, one.partition, offset, one.key, one.value, one.headers, 0)


def raw(value: bytes | None) -> Record:
    return Record(Topic.CHANGES, 0, 7, b"default", value, (), 0)


@given(_sets)
def test_change_sets_survive_the_wire(one: ChangeSet) -> None:
    (record,) = encode_change_set(one)
    assert decode_change_set(recorded(record)) == one
    assert record.key == one.domain.encode()


def test_every_change_has_a_strategy() -> None:
    from engine.events import Change

    kinds = {Put, Delete, Refused, Admitted, Quarantine, Lift, Tick, SyncBegin, SyncEnd, EngineChanged}
    kinds |= {Pin, Override, Confirm, Unpin, Unreachable, Reachable}
    assert set(Change.__args__) == kinds


@pytest.mark.parametrize("sizes", [[400] * 5, [950], [1, 950, 1], [899, 2], [0] * 3])
def test_a_large_change_set_travels_in_parts(sizes: list[int]) -> None:
    changes = [put(f"t{number}", "x" * (size * 1024)) for number, size in enumerate(sizes)]
    whole = change_set(*changes, name="big")
    parts = [decode_change_set(recorded(record)) for record in encode_change_set(whole)]
    assert [(part.part, part.parts) for part in parts] == [(number, len(parts)) for number in range(len(parts))]
    assert [change for part in parts for change in part.changes] == list(changes)
    assert {replace(part, part=0, parts=1, changes=()) for part in parts} == {replace(whole, changes=())}
    for record in encode_change_set(whole):
        alone = len(decode_change_set(recorded(record)).changes) == 1
        assert alone or len(record.value or b"") <= PART_BYTES + 1024


def test_parts_have_cloud_events_of_their_own() -> None:
    whole = change_set(put("a", "x" * (800 * 1024)), put("b", "x" * (800 * 1024)), name="big")
    headers = [dict(record.headers) for record in encode_change_set(whole)]
    assert [one["ce_id"] for one in headers] == [b"big/0", b"big/1"]
    assert headers[0]["ce_specversion"] == b"1.0"
    assert headers[0]["ce_source"] == b"/penstock/local/test"
    assert headers[0]["ce_time"] == TIME.encode()


def _broken(**changes: Any) -> bytes:
    good = orjson.loads(encode_change_set(change_set(put("a", 1), name="x"))[0].value or b"")
    return orjson.dumps({key: value for key, value in {**good, **changes}.items() if value is not ...})


_PUT = {"verb": "put", "ref": "a/b/c/d/e"}


def _nested(depth: int) -> bytes:
    value = _broken(changes=[{**_PUT, "object": {"metadata": {}, "x": "N"}}])
    return value.replace(b'"N"', b'{"a":' * depth + b"1" + b"}" * depth)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "tombstone"),
        (b"", "not JSON"),
        (b"\xff\x00", "not JSON"),
        (b'{"a":' * 2000, "not JSON"),
        (b"[1]", "no schema"),
        (b"null", "no schema"),
        (_broken(schema="1"), "no schema"),
        (_broken(domain=...), "domain is not text"),
        (_broken(actor=3), "actor is not text"),
        (_broken(time="yesterday"), "time is not RFC 3339"),
        (_broken(time="2026-13-41T99:00:00Z"), "time is not RFC 3339"),
        (_broken(part=1, parts=1), "part and parts"),
        (_broken(part="0"), "part and parts"),
        (_broken(changes={}), "changes is not a list"),
        (_broken(changes=[1]), "not an object"),
        (_broken(changes=[{"verb": "explode"}]), "unknown change 'explode'"),
        (_broken(changes=[{"verb": "delete"}]), "delete lacks ref"),
        (_broken(changes=[{"verb": "delete", "ref": "a/b"}]), "not a ref"),
        (_broken(changes=[{"verb": "delete", "ref": None}]), "delete.ref"),
        (_broken(changes=[{**_PUT, "object": []}]), "is no object"),
        (_broken(changes=[{**_PUT, "object": {}}]), "no metadata"),
        (_nested(300), "nested too deep"),
        (_nested(250), "nested too deep"),
        (_broken(actor="x" * (1 << 17)), "actor has 131072 characters"),
        (_broken(changes=[{**_PUT, "object": {"metadata": {}, "x": "x" * (7 << 20)}}]), "has 7340[0-9]+ bytes, at most 6291456"),
        (_broken(changes=[{**_PUT, "object": {"metadata": {}, "x": "N"}}]).replace(b'"N"', b"[" + b"1e15," * 500_000 + b"1]"), "has 9500[0-9]+ bytes"),
        (_broken(changes=[{**_PUT, "object": {"metadata": None}}]), "no metadata"),
        (_broken(changes=[{**_PUT, "object": {"metadata": {"generation": "x"}}}]), "generation"),
        (_broken(changes=[{"verb": "quarantine", "gateway": "a/b/c/d/e", "fragment": "", "version": "", "objects": [1], "error": "", "envoy": ""}]), "quarantine.objects"),
    ],
)  # fmt: skip
def test_garbage_has_a_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(Garbage, match=reason):
        decode_change_set(raw(value))


def test_what_is_nested_less_deep_can_be_written() -> None:
    change_set = decode_change_set(raw(_nested(200)))
    assert decode_change_set(recorded(encode_change_set(change_set)[0])) == change_set


def test_a_newer_schema_is_no_garbage() -> None:
    with pytest.raises(NewerSchema, match=r"schema 99.*upgrade penstock"):
        decode_change_set(raw(_broken(schema=99, changes="of another shape")))


@given(st.binary(max_size=200))
@example(b'{"schema":1}')
def test_nothing_but_garbage_comes_of_bytes(value: bytes) -> None:
    with pytest.raises((Garbage, NewerSchema)):
        decode_change_set(raw(value))


@given(_json)
def test_nothing_but_garbage_comes_of_json_changes(change: Any) -> None:
    for shape in ([change], change, [{"verb": "put", "ref": change, "object": change}], [{"verb": change}]):
        try:
            decode_change_set(raw(_broken(changes=shape)))
        except Garbage:
            continue


@given(
    st.binary(min_size=1, max_size=50),
    _words,
    _words,
    st.lists(st.tuples(_refs, st.integers(0, 99)), max_size=3).map(tuple),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_fragments_survive_the_wire(
    payload: bytes, parent: str, order: str, provenance: tuple[tuple[Ref, int], ...], name: str
) -> None:
    key = FragmentKey(thing("gw"), FragmentKind.ROUTE, name)
    one = Fragment(key, payload, "v1", parent, order, provenance, sealed=bool(provenance))
    update = Update(4, TIME, fragments=Delta({str(key): one}))
    record = next(row for row in encode_update("default", 0, update, {}) if row.topic is Topic.XDS)
    assert decode_fragment(recorded(record)) == one


def test_an_update_is_closed_on_every_output() -> None:
    ref = thing("a")
    rows = Delta({str(ref): {"x": 1}}, frozenset({str(thing("b"))}))
    one = fragment(ref, 1)
    update = Update(5, TIME, Delta({str(one.key): one}), rows, rows, rows, rows)
    cause = change_set(put("a", 1), Delete(thing("b")), Tick())
    records = [recorded(row) for row in encode_update("default", 3, update, {**change_summary(cause), "engine": "7"})]
    assert {row.partition for row in records} == {3}
    for topic in OUTPUTS:
        mine = [row for row in records if row.topic is topic]
        positions = [(int(row.header("offset")), int(row.header("index"))) for row in mine]
        assert positions == sorted(set(positions))
        if topic is not Topic.UPDATES:
            assert split_key(mine[-1].key or b"") == ("default", PROGRESS)
            assert orjson.loads(mine[-1].value or b"") == {"offset": 5, "time": TIME, "engine": "7"}
    (public,) = [orjson.loads(row.value or b"") for row in records if row.topic is Topic.UPDATES]
    assert public["changes"] == [
        {"verb": "put", "ref": str(ref), "generation": 1},
        {"verb": "delete", "ref": str(thing("b"))},
        {"verb": "tick"},
    ]
    assert public["downstream"]["fragments"] == {"set": [str(one.key)], "removed": []}


def test_equal_values_give_equal_bytes() -> None:
    first = Update(1, TIME, nodes=Delta({"b": {"y": 1, "x": 2}, "a": {}}))
    second = Update(1, TIME, nodes=Delta({"a": {}, "b": {"x": 2, "y": 1}}))
    assert list(encode_update("d", 0, first, {})) == list(encode_update("d", 0, second, {}))


@pytest.mark.parametrize("header", [("provenance", b"nope"), ("provenance", b"[1]"), ("provenance", b'[["a",1]]')])
def test_a_fragment_that_is_none_is_garbage(header: tuple[str, bytes]) -> None:
    one = fragment(thing("a"), 1)
    with pytest.raises(Garbage, match="not a fragment"):
        decode_fragment(Record(Topic.XDS, 0, 0, f"default/{one.key}".encode(), b"x", (header,), 0))
    with pytest.raises(Garbage, match="not a fragment"):
        decode_fragment(Record(Topic.XDS, 0, 0, b"default/what", b"x", (), 0))


def test_a_quarantine_of_before_addresses_were_noted_is_read() -> None:
    """A field that came later has a default: what older logs hold is no garbage for want of it."""
    told = Quarantine(Ref("c", "g", "Gateway", "n", "x"), "f", "v", (), "no", "1.40.0", "127.0.0.1")
    older = {name: value for name, value in to_json(told).items() if name != "address"}
    assert from_json(to_json(told)) == told
    assert from_json(older) == replace(told, address="")
