"""`--at`: read commands answer of another moment of the log, or say why they cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streams.cli.moment import moment
from streams.kafka import KafkaLog
from streams.topics import Topic
from tests.cli.log import CANARY, TIME, Place, resolved

_NOW = datetime(2026, 11, 24, 16, 0, tzinfo=UTC).astimezone()


@pytest.fixture(scope="module")
def place(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with resolved(broker, tmp_path_factory.mktemp("data")) as found:
        yield found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("812", 812),
        ("-1", -1),
        ("1h30m", _NOW - timedelta(minutes=90)),
        ("14:03", _NOW.replace(hour=14, minute=3)),
        ("16:00", _NOW),
        ("16:00:01", _NOW.replace(second=1) - timedelta(days=1)),
        ("23:50", _NOW.replace(hour=23, minute=50) - timedelta(days=1)),
        ("14:03:20.5", _NOW.replace(hour=14, minute=3, second=20, microsecond=500_000)),
        ("2026-11-23T14:03:20.000Z", datetime(2026, 11, 23, 14, 3, 20, tzinfo=UTC)),
        ("2026-11-23 14:03", datetime(2026, 11, 23, 14, 3).astimezone()),  # noqa: DTZ001  local, as it is written
        ("2026-11-23", datetime(2026, 11, 23).astimezone()),  # noqa: DTZ001
    ],
)
def test_what_is_a_moment(text: str, wanted: int | datetime) -> None:
    assert moment(text, _NOW) == wanted


@pytest.mark.parametrize("text", ["", "yesterday", "25:00", "2026-13-01", "1.5", "0x10", "9" * 40 + "h"])
def test_what_is_none(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        moment(text, _NOW)
    assert ended.value.code == 2
    assert f"--at {text!r} is no moment: give an offset, a time such as" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["2026-11-24T16:00:01Z", "2026-11-25", "9999-12-31T23:59"])
def test_what_is_yet_to_come(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        moment(text, _NOW, "--since")
    assert ended.value.code == 2
    assert f"--since {text!r} is yet to come: it is 2026-11-24T" in capsys.readouterr().err


@pytest.mark.kafka
def test_an_object_that_is_gone_is_there_before(place: Place) -> None:
    """The first change set made a Service, the second took it away: the route went over to 500."""
    assert place.run("get", "services/web").exit_code == 1
    then: Any = place.tells("get", "services/web", "--at", "0")
    assert then["metadata"]["name"] == "web"
    assert "BackendNotFound" in place.prints("status", "httproutes/good")
    before = place.prints("status", "httproutes/good", "--at", "0")
    assert "ResolvedRefs=True" in before
    assert "BackendNotFound" not in before
    assert place.prints("graph", "backends", "--at", "0") != place.prints("graph", "backends")


@pytest.mark.kafka
def test_the_end_is_what_is_now(place: Place) -> None:
    end = asyncio.run(KafkaLog(place.brokers, place.prefix).ends(Topic.CHANGES, 0))[1]
    for words in (("get", "httproutes"), ("graph", "routes"), ("graph", "listeners"), ("get", "secrets", "-o", "yaml")):
        assert place.prints(*words, "--at", str(end - 1)) == place.prints(*words)
        assert CANARY not in place.prints(*words, "--at", "0")


@pytest.mark.kafka
def test_by_time(place: Place) -> None:
    """Who read a time in the log names what it says."""
    assert place.run("get", "services/web", "--at", TIME).exit_code == 1, "all change sets are of this time"
    result = place.run("get", "services/web", "--at", "1999-01-01")
    assert (result.exit_code, result.stderr) == (1, "penstock: --at 1999-01-01: the log begins later than that\n")


@pytest.mark.kafka
@pytest.mark.parametrize("command", [("get", "gateways"), ("graph", "routes"), ("status",)])
def test_an_offset_that_is_not_there_is_told(place: Place, command: tuple[str, ...]) -> None:
    end = asyncio.run(KafkaLog(place.brokers, place.prefix).ends(Topic.CHANGES, 0))[1]
    result = place.run(*command, "--at", "999")
    said = f"penstock: --at 999: there is no offset 999: the log holds 0 to {end - 1}\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", said)


@pytest.mark.kafka
def test_what_differs_between_two_moments(place: Place) -> None:
    """The second change set took the Service away that the first had made."""
    text = place.prints("diff", "0")
    assert "  Service/default/web removed" in text
    assert "backend default/web:80 of Gateway default/gw: is gone" in text
    told: Any = place.tells("diff", "0", "--level", "objects")
    assert [(one["key"], one["verb"]) for one in told["objects"]] == [("local//Service/default/web", "removed")]
    assert told.keys() == {"before", "after", "objects"}
    assert place.prints("diff", "0", "0") == "from offset 0 to 0\nnothing differs\n"
    result = place.run("diff", "0", "999")
    assert (result.exit_code, result.stdout) == (1, "")
    assert CANARY not in text
