"""The publisher alone: a change of one host among 10,000, to the bytes of the response."""

from __future__ import annotations

import time
from statistics import median

from engine.engine import Engine
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKey, parse_fragment_key
from streams.xds.assembly import Assembly
from streams.xds.messages import ORDER, Request, parse_response
from streams.xds.session import Session
from tests.benchmarks.engine import built
from tests.benchmarks.world import edited, percentile
from tests.support.manifests import change_set

_EDITS = 200


def _subscribed(session: Session, assembly: Assembly) -> None:
    for type_url in ORDER:
        session.received(Request(type_url, subscribe=list(assembly.names(type_url))))
    _acknowledge(session, session.responses())


def _acknowledge(session: Session, responses: list[bytes]) -> None:
    while responses:
        for response in responses:
            answer = parse_response(response)
            session.received(Request(answer.type_url, nonce=answer.nonce))
        responses = session.responses()


def _rows(engine: Engine, number: int, generation: int) -> dict[FragmentKey, Fragment | None]:
    update = engine.apply(change_set(edited(number, generation), number=generation), engine.offset + 1)
    return {parse_fragment_key(key): value for key, value in update.fragments.set.items()}


def run() -> dict[str, float]:
    """Keys and values for bench.json; milliseconds of CPU."""
    engine, _ = built(10_000)
    assembly = Assembly(Sealer(bytes(KEY_BYTES)))
    whole = engine.everything().fragments.set
    began = time.process_time()
    assembly.apply({parse_fragment_key(key): value for key, value in whole.items()}, 0)
    taken = time.process_time() - began
    session = Session(assembly)
    _subscribed(session, assembly)
    costs, size = [], 0
    for number in range(_EDITS):
        rows = _rows(engine, number * 7919 % 10_000, number + 2)
        began = time.process_time()
        session.changed(assembly.apply(rows, number + 1))
        responses = session.responses()
        costs.append(1e3 * (time.process_time() - began))
        size = sum(map(len, responses))
        _acknowledge(session, responses)
    return {
        "publish_ms.10000": median(costs),
        "publish_ms.p99_10000": percentile(costs, 0.99),
        "publish_bytes.10000": float(size),
        "publish_boot_s.10000": taken,
    }
