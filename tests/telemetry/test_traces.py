"""Traces from a change to its acknowledgement, at a real receiver; and what they must not change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.events import ChangeSet
from streams.broker import Broker
from streams.codec import decode_change_set, encode_change_set, trace_of, without_trace
from streams.domain import Domain, DomainOptions
from streams.kafka import KafkaLog
from streams.memory import MemoryLog
from streams.ports import Headers, Outgoing, Record
from streams.telemetry import Telemetry
from streams.telemetry.otlp import OtlpTraces
from streams.telemetry.traces import Traces, is_wanted
from streams.topics import OUTPUTS, Topic
from streams.view import read_table
from tests.e2e.conftest import site
from tests.e2e.site import Site
from tests.streams.toy import TIME, ToyEngine, change_set, put, records
from tests.support.running import START_SECONDS, until
from tests.telemetry.collector import Collector, grpc_collector, http_collector

__all__ = ["site"]
_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_STEPS = ("append", "resolve", "publish", "acknowledge")


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "zipkin"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
    ],
)
def test_the_standard_variables_ask_for_traces(environment: dict[str, str], wanted: bool) -> None:  # noqa: FBT001
    assert is_wanted(environment) is wanted


@contextmanager
def tracing(collector: Collector, monkeypatch: pytest.MonkeyPatch, protocol: str) -> Iterator[OtlpTraces]:
    """Ended before what it sent is looked at."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    traces = OtlpTraces({"role": "resolve"})
    yield traces
    traces.close()


@pytest.mark.parametrize(("protocol", "receiver"), [("http/protobuf", http_collector), ("grpc", grpc_collector)])
def test_a_step_goes_on_with_the_trace_of_the_one_before(protocol: str, receiver: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as collector:  # type: ignore[operator]
        with tracing(collector, monkeypatch, protocol) as traces:
            first = traces.begin("resolve", _PARENT, at=1.5, attributes={"penstock.offset": 7})
            first.end()
            traces.begin("reject", first.traceparent).end("no such cluster")
            # What somebody wrote in its place is no parent, and no error.
            for garbage in ("", "garbage", "00-0-0-0", "\ufffd" * 99):
                traces.begin("odd", garbage).end()
        resolve, reject, *odd = collector.steps
        assert (resolve.name, resolve.trace, resolve.parent) == ("resolve", _PARENT.split("-")[1], _PARENT.split("-")[2])
        assert (resolve.began, resolve.attributes) == (1.5, {"penstock.offset": 7})
        assert (reject.parent, reject.trace, reject.error) == (resolve.id, resolve.trace, "no such cluster")
        assert len({one.trace for one in odd}) == 4
        assert not any(one.parent for one in odd)
        assert (resolve.process["service.name"], resolve.process["penstock.role"]) == ("penstock", "resolve")


def test_another_protocol_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    with pytest.raises(ValueError, match="'http/json' is not spoken here: give http/protobuf or grpc"):
        OtlpTraces({})


def test_the_operator_names_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "edge")
    with http_collector() as collector:
        with tracing(collector, monkeypatch, "http/protobuf") as traces:
            traces.begin("append").end()
        assert collector.steps[0].process["service.name"] == "edge"


async def _outputs(telemetry: Telemetry, *sets: ChangeSet) -> tuple[MemoryLog, dict[Topic, list[tuple[bytes | None, bytes | None, Headers]]]]:
    log = MemoryLog()
    async with log.writer("source") as writer:
        for one in sets:
            await writer.write(encode_change_set(one, 0, _PARENT))
    domain = Domain(log, ToyEngine, DomainOptions(clock=lambda: TIME, telemetry=telemetry))
    await domain.acquire()
    await domain.release()
    return log, {topic: [(one.key, one.value, one.headers) for one in await records(log, topic)] for topic in OUTPUTS}


async def test_outputs_are_the_same_bytes_with_traces_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = [change_set(put("a", 1), name="one"), change_set(put("a", 2), put("b", 1), name="two")]
    with http_collector() as collector, tracing(collector, monkeypatch, "http/protobuf") as traces:
        log, traced = await _outputs(Telemetry(traces=traces), *sets)
    plain = (await _outputs(Telemetry(traces=Traces()), *sets))[1]
    assert traced != plain
    assert {topic: [(*one[:2], without_trace(one[2])) for one in rows] for topic, rows in traced.items()} == plain
    table = await read_table(log, Topic.XDS, 0)
    assert not any(trace_of(row) for row in table.rows.values()), "only what closes an update carries it"
    resolved = {one.id for one in collector.steps if one.parent == _PARENT.split("-")[2]}
    closing = {trace_of(one).split("-")[2] for one in await records(log, Topic.XDS) if trace_of(one)}
    assert closing == resolved
    assert len(closing) == 2


def test_a_header_that_is_no_text_is_no_trace_and_no_garbage() -> None:
    (one,) = encode_change_set(change_set(put("a", 1)))
    record = Record(one.topic, 0, 0, one.key, one.value, (*one.headers, ("ce_traceparent", b"\xff\xfe")), 0)
    assert decode_change_set(record).changes
    assert trace_of(record) == "\ufffd\ufffd"


def test_a_change_without_a_trace_has_no_header_of_one() -> None:
    (one,) = encode_change_set(change_set(put("a", 1)))
    assert isinstance(one, Outgoing)
    assert without_trace(one.headers) == one.headers


@pytest.mark.kafka
@pytest.mark.envoy
def test_a_change_can_be_followed_from_the_source_to_the_proxy(site: Site) -> None:
    with http_collector() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}", "OTEL_BSP_SCHEDULE_DELAY": "200"}
        site.populate()
        site.start(env=env)
        site.serves("one")
        until(lambda: site.tells("status")["log"], START_SECONDS, lambda: site.printed)
        before = {chain[0].trace for chain in collector.chains(*_STEPS)}
        site.populate("two")
        site.serves("two")
        chains: list[object] = []

        def has_come() -> bool:
            chains[:] = [one for one in collector.chains(*_STEPS) if one[0].trace not in before]
            return bool(chains)

        until(has_come, says=lambda: f"{[(one.name, one.trace, one.parent) for one in collector.steps]} {site.printed}")
        chain = next(one for one in collector.chains(*_STEPS) if one[0].trace not in before)
        assert [one.process["penstock.role"] for one in chain] == ["watch", "resolve", "publish", "publish"]
        assert chain[0].attributes["penstock.actor"] == "route.yaml"
        assert len({one.attributes["penstock.offset"] for one in chain[1:]}) == 1
        assert chain[-1].attributes["penstock.proxy"]
        assert chain[0].began <= chain[1].began <= chain[-1].ended
        reported = asyncio.run(_reported(site, chain[0].trace))
        assert [one.split("-")[1:3] for one in reported] == [[chain[-1].trace, chain[-1].id]]
        # What was traced is what a replay says that was not.
        assert site.call("replay", "--digest").stdout == site.call("replay", "--digest", "--live").stdout
        site.ends()


async def _reported(site: Site, trace: str) -> list[str]:
    """The traces of reports that are of that one."""
    address = Broker(site.data / "broker").running()
    assert address is not None
    log = KafkaLog(address)
    return [found for one in await records(log, Topic.REPORTS) if trace in (found := trace_of(one))]
