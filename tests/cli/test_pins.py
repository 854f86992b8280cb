"""The commands that serve the past, on the real log."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from engine.events import Delete, Put
from streams.pins import NotApplied
from tests.cli.log import Place, resolved
from tests.cli.test_clusters import resolve, tell
from tests.support.manifests import gateway
from tests.support.manifests import route as made

pytestmark = pytest.mark.kafka


def _route(path: str, generation: int) -> Put:
    return made("good", "web", path, generation)


@pytest.fixture(scope="module")
def place(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with resolved(broker, tmp_path_factory.mktemp("pins")) as found:
        asyncio.run(tell(found, "local", _route("/second", 2)))
        yield found


@pytest.fixture(autouse=True)
def _at_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no resolver beside: whoever waits for one is it."""

    async def applied(teller: Any, offset: int) -> None:
        await resolve(place)

    monkeypatch.setattr("streams.pins.Teller.applied", applied)


def _last(place: Place) -> str:
    return str(place.tells("log", "--limit", "1")[0]["offset"])  # type: ignore[index]


def _pins(place: Place) -> Any:
    return place.tells("pins")


def test_a_pin_is_listed_with_its_drift_and_ends(place: Place) -> None:
    assert place.prints("pins").strip() == "nothing is served from the past"
    said = place.prints("pin", "gateway/gw", "--at", "0", "--reason", "it broke", "--yes", "--until-confirmed", "10m")
    assert "default/gw is served as of offset 0" in said
    (pin,) = _pins(place)
    assert (pin["to"], pin["reason"], pin["on_trial"]) == (0, "it broke", True)
    # Of what changed since offset 0 the Service is today's.
    assert [one["ref"].split("/")[2] for one in pin["drift"]] == ["HTTPRoute"]
    assert "spec" in pin["drift"][0]["places"][0]["path"]
    assert "HTTPRoute" in place.prints("pins", pin["pin"])
    assert "pinned      gateway/default/gw as of offset 0" in place.prints("status")
    assert "stays" in place.prints("confirm", pin["pin"])
    assert _pins(place)[0]["until"] == ""
    assert "does not wait" in place.run("confirm", pin["pin"]).output
    assert pin["pin"] in place.prints("log", "--limit", "1")
    assert pin["pin"] in place.prints("unpin", "gateway/gw")
    assert _pins(place) == []


def test_a_rollback_is_of_what_differs_in_its_scope(place: Place) -> None:
    last = _last(place)
    assert f"nothing differs from offset {last}" in place.prints("rollback", "--to", last, "-m", "why", "--yes")
    assert "nothing differs" in place.prints("rollback", "--to", "0", "-m", "why", "--yes", "--namespace", "other")
    place.prints("rollback", "--to", "0", "-m", "why", "--yes", "--ref", "httproute/good")
    (pin,) = _pins(place)
    assert pin["gateway"] is None
    assert "RolledBack" in str(place.tells("get", "httproutes", "good"))
    # Of a rollback rolled back: what was served then.
    second = place.run("rollback", "--to", last, "-m", "why", "--yes")
    assert second.exit_code == 0
    assert "1 objects" in second.output
    assert "ended" in place.prints("unpin", "--all")
    assert _pins(place) == []


def test_the_read_commands_tell_the_revision_that_a_rollback_serves(place: Place) -> None:
    place.prints("rollback", "--to", "0", "-m", "it broke", "--yes", "--ref", "httproute/good")
    (pin,) = _pins(place)
    explained: Any = place.tells("explain", "http://a.example:8080/second")
    (route,) = [one for one in explained[0]["objects"] if one["object"] == "HTTPRoute default/good"]
    assert [route[name] for name in ("generation", "offset", "actor")] == [1, 0, "all.yaml"]
    assert route["because"] == f"as of offset 0 by rollback {pin['pin']} of {pin['actor']}: it broke"
    assert route["written"]["generation"] == 2
    assert route["because"] in place.prints("explain", "http://a.example:8080/second")
    shown: Any = place.tells("show", "httproute/good")
    assert (shown["revision"], shown["served"]["revision"], shown["object"]["metadata"]["generation"]) == (2, 1, 2)
    assert (shown["served"]["because"][0]["pin"], shown["served"]["because"][0]["error"]) == (pin["pin"], "it broke")
    text = place.prints("show", "httproute/good")
    assert f"# served as of offset 0 by rollback {pin['pin']}: it broke\n" in text
    assert "# served instead: revision 1\n" in text
    place.prints("unpin", "--all")
    assert place.tells("show", "httproute/good")["served"] is None  # type: ignore[index]


def test_an_object_that_only_a_rollback_has_is_there(place: Place) -> None:
    last = _last(place)
    asyncio.run(tell(place, "local", Delete(_route("/second", 2).ref)))
    assert "is not there" in place.run("show", "httproute/good").output
    place.prints("rollback", "--to", last, "-m", "it was deleted", "--yes", "--ref", "httproute/good")
    explained: Any = place.tells("explain", "http://a.example:8080/second")
    (route,) = [one for one in explained[0]["objects"] if one["object"] == "HTTPRoute default/good"]
    assert (route["generation"], route["written"]) == (2, None)
    assert isinstance(route["offset"], int)
    shown: Any = place.tells("show", "httproute/good")
    assert (shown["revision"], shown["object"], shown["served"]["revision"]) == (None, None, 2)
    assert "RolledBack" in str(shown["served"]["object"]["status"])
    assert place.prints("show", "httproute/good").count("kind: HTTPRoute") == 1
    assert "RolledBack" in place.prints("status", "httproute/good")
    assert "RolledBack" in str(place.tells("get", "httproutes", "good"))
    place.prints("unpin", "--all")
    assert "is not there" in place.run("status", "httproute/good").output
    asyncio.run(tell(place, "local", _route("/second", 2)))


def test_a_pin_of_a_gateway_is_told_of_its_objects(place: Place) -> None:
    place.prints("pin", "gateway/gw", "--at", "0", "-m", "it broke", "--yes")
    (pin,) = _pins(place)
    assert f"# served as of offset 0 by pin {pin['pin']} of Gateway default/gw: it broke\n" in place.prints(
        "show", "httproute/good"
    )
    assert place.tells("show", "gateway/gw")["served"] is None  # type: ignore[index]
    place.prints("unpin", "--all")


def test_a_port_that_another_gateway_has_now_is_told(place: Place) -> None:
    """It said only that the gateway is served."""
    moved = gateway("gw", {"name": "http", "port": 8090, "protocol": "HTTP"}, generation=2)
    asyncio.run(tell(place, "local", moved))
    asyncio.run(tell(place, "local", gateway("younger")))
    done = place.run("pin", "gateway/gw", "--at", "0", "-m", "it broke", "--yes")
    assert done.exit_code == 0
    assert "listener http is not served: port 8080 belongs to Gateway default/younger now" in done.stderr
    place.prints("unpin", "--all")
    asyncio.run(tell(place, "local", Delete(gateway("younger").ref)))
    done = place.run("pin", "gateway/gw", "--at", "0", "-m", "it broke", "--yes")
    assert (done.exit_code, "listener" in done.stderr) == (0, False)
    place.prints("unpin", "--all")
    asyncio.run(tell(place, "local", gateway("gw", generation=3)))


def test_a_reason_breaks_no_line_and_reaches_no_terminal(place: Place) -> None:
    place.prints("rollback", "--to", "0", "-m", "red\x1b[31m\nall objects are as wished", "--yes", "--ref", "httproute/good")
    for words in (("pins",), ("status",), ("show", "httproute/good"), ("explain", "http://a.example:8080")):
        text = place.prints(*words)
        assert "red\\x1b[31m\\nall objects are as wished" in text, words
        assert "\x1b" not in text, words
    assert _pins(place)[0]["reason"] == "red\x1b[31m\nall objects are as wished"
    place.prints("unpin", "--all")


def test_a_question_can_be_answered_with_no(place: Place) -> None:
    done = place.run("rollback", "--to", "0", "-m", "why")
    assert done.exit_code == 1
    assert _pins(place) == []


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("pin gateway/nobody --at 0 -m why --yes", 1, "name a later --at"),
        ("pin httproute/good --at 0 -m why --yes", 2, "penstock rollback --ref httproute/good"),
        ("pin gateway/gw --at 0 -m why --yes --for 1h --until-confirmed 1h", 2, "leave one of the two out"),
        ("pin gateway/gw --at 0 -m why --yes --for soon", 2, "is no duration"),
        ("pin gateway/gw --at 0 -m why --yes --for ''", 2, "--for '' is no duration"),
        ("pin gateway/gw --at 0 -m why --yes --until-confirmed ''", 2, "--until-confirmed '' is no duration"),
        ("pin gateway/gw --at 0 -m '' --yes", 2, "--reason says nothing"),
        ("rollback --to 0 -m ' \t' --yes", 2, "--reason says nothing"),
        ("rollback --to 9999-12-31 -m why --yes", 2, "is yet to come"),
        ("rollback --to 0 -m why --yes --ref service/web", 2, "Service is no configuration, it stays today's"),
        ("rollback --to 0 -m why --yes --ref httproute/goad", 1, "HTTPRoute goad is not there; of a name like that"),
        ("pin gateway/gw --at 999 -m why --yes", 1, "there is no offset 999"),
        ("rollback --to 0 -m why --yes --ref httproute/bad", 1, "is not otherwise than at offset 0"),
        ("confirm none", 1, "there is no pin none"),
        ("unpin none", 1, "there is no pin none"),
        ("unpin", 2, "name a pin, or give --all"),
        ("unpin --all", 1, "nothing is pinned"),
        ("pins none", 1, "there is no pin none"),
    ],
)
def test_what_is_off_is_said(place: Place, words: str, code: int, told: str) -> None:
    done = place.run(*shlex.split(words))
    assert done.exit_code == code, done.output
    assert told in done.output
    assert _pins(place) == []


def test_what_changes_between_the_look_and_the_append_is_of_the_past_too(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streams.pins import Teller

    honest, late = Teller.state, [made("late", "web", "/late")]

    async def state(teller: Teller) -> Any:
        found = await honest(teller)
        if late:
            await tell(place, "local", late.pop())
        return found

    monkeypatch.setattr(Teller, "state", state)
    place.prints("pin", "gateway/gw", "--at", "0", "-m", "why", "--yes")
    (pin,) = _pins(place)
    assert sorted(one["ref"].split("/")[-1] for one in pin["drift"]) == ["good", "late"]
    place.prints("unpin", "--all")
    asyncio.run(tell(place, "local", Delete(made("late").ref)))


@pytest.mark.parametrize(("words", "code"), [("pin gateway/gw --at 0", 3), ("rollback --to 0 --ref httproute/good", 0)])
def test_what_changes_at_every_look_is_told_not_passed_over(
    place: Place, monkeypatch: pytest.MonkeyPatch, words: str, code: int
) -> None:
    """It said that it is served, by a pin that is not there; of a rollback only its own objects concern it."""
    from streams.pins import Teller

    honest, number = Teller.state, iter(range(100))

    async def state(teller: Teller) -> Any:
        found = await honest(teller)
        await tell(place, "local", made("late", "web", f"/{next(number)}", generation=next(number) + 1))
        return found

    monkeypatch.setattr(Teller, "state", state)
    done = place.run(*words.split(), "-m", "why", "--yes")
    (pin,) = _pins(place)
    assert done.exit_code == code, done.output
    assert f"unpin {pin['pin']}" in " ".join(done.output.split())
    assert ("keeps changing" in done.output) == (code == 3)
    monkeypatch.setattr(Teller, "state", honest)
    place.prints("unpin", "--all")
    asyncio.run(tell(place, "local", Delete(made("late").ref)))
    assert _pins(place) == []


def test_without_a_resolver_it_waits_in_the_log(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def applied(teller: Any, offset: int) -> None:
        msg = f"it is in the log at offset {offset} and waits there for the resolver: see `penstock status`"
        raise NotApplied(msg)

    monkeypatch.setattr("streams.pins.Teller.applied", applied)
    done = place.run("pin", "gateway/gw", "--at", "0", "-m", "why", "--yes")
    assert done.exit_code == 3
    assert "waits there for the resolver" in done.output
    asyncio.run(resolve(place))
    assert "ended" in place.run("unpin", "gateway/gw").output or len(_pins(place)) == 1
    asyncio.run(resolve(place))
    assert _pins(place) == []
