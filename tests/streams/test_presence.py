"""Where a proxy is connected, when publishers tell it late, in another order, or no more."""

from __future__ import annotations

from typing import Any

import orjson

from streams.projections.convergence import _Joins, joined, summary
from tests.streams.test_convergence import PROXY, by, record, report
from tests.streams.toy import GATEWAY

_MOVED = by("A", "connected"), by("A", "ack", 4), by("B", "connected")


def presence(*reports: dict[str, Any], lost: str = "none") -> tuple[bool, str, int]:
    value: bytes | None = None
    for at, one in enumerate(reports):
        value = joined(value, record(at, one), lost.__eq__)
    found = orjson.loads(value or b"{}")
    return found["connected"], found["publisher"], found["offset"]


def test_a_publisher_that_a_proxy_left_does_not_tell_that_it_is_gone() -> None:
    """It notices when its connection times out, or its report waits for the broker: the proxy is elsewhere by then."""
    assert presence(*_MOVED, by("B", "ack", 9), by("A", "disconnected", 4)) == (True, "B", 9)
    # Nor does what it has to say still bring the proxy back to it.
    assert presence(*_MOVED, by("A", "ack", 5), by("A", "disconnected", 5), by("B", "ack", 9)) == (True, "B", 9)
    assert presence(*_MOVED, by("A", "disconnected", 4), by("B", "disconnected")) == (False, "B", -1)
    again = by("B", "disconnected"), by("A", "connected"), by("B", "disconnected")
    assert presence(*_MOVED, *again) == (True, "A", -1)


def test_what_a_proxy_had_of_the_publisher_that_it_left_is_not_what_it_runs() -> None:
    """It may be a new Envoy of the same name, which has nothing yet."""
    assert presence(*_MOVED, by("A", "disconnected", 4)) == (True, "B", -1)
    assert presence(*_MOVED, by("A", "ack", 4)) == (True, "B", -1)
    assert presence(*_MOVED, by("A", "unconfirmed", 4)) == (True, "B", -1)


def test_a_proxy_is_where_it_answers_when_the_publisher_of_its_row_has_lost_it() -> None:
    """What two publishers say may come in another order than it was so: it is not gone for ever by that."""
    swapped = by("A", "connected"), by("B", "connected")
    assert presence(*swapped, by("B", "disconnected"), by("A", "ack", 5)) == (True, "A", 5)
    assert presence(*swapped, by("A", "ack", 5), lost="B") == (True, "A", 5)
    assert presence(*swapped, by("A", "disconnected"), lost="B") == (True, "B", -1)


def test_a_publisher_of_an_older_version_has_no_name() -> None:
    assert presence(report("connected", -1), by("A", "connected"), report("disconnected", -1)) == (True, "A", -1)
    assert presence(by("A", "connected"), report("connected", -1), report("disconnected", -1)) == (False, "", -1)


def test_a_proxy_whose_publisher_is_lost_is_gone_whatever_another_says_of_its_end() -> None:
    gateway, value = f"default/{GATEWAY}", None
    for at, one in enumerate([*_MOVED, by("B", "ack", 9), by("A", "disconnected")]):
        value = joined(value, record(at, one))
    rows = {f"default/{PROXY}": value or b""}
    assert summary(gateway, rows)["lowest"] == 9
    assert summary(gateway, rows, is_lost="A".__eq__)["lowest"] == 9
    assert summary(gateway, rows, is_lost="B".__eq__)["lowest"] is None


def test_a_projection_knows_by_itself_which_publisher_is_lost() -> None:
    joins, value = _Joins(), None
    for at, one in enumerate([by("A", "connected"), by("B", "connected")]):
        value = joins.joined(value, record(at, one))
    for at in range(2, 12):
        joins.publishers.turn()
        value = joins.joined(value, record(at, by("A", "ack", at)))
        if at == 2:
            assert orjson.loads(value or b"{}")["publisher"] == "B"
    assert orjson.loads(value or b"{}") | {"publisher": "A", "connected": True, "offset": 11} == orjson.loads(value or b"{}")
