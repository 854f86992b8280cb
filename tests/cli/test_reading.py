"""The read commands say what the topics of a real log say, and nothing else is asked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.log import CANARY, Place, resolved

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def place(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with resolved(broker, tmp_path_factory.mktemp("data")) as found:
        yield found


def _conditions(object_: dict[str, Any]) -> dict[str, str]:
    return {one["type"]: one["reason"] for one in object_["status"]["parents"][0]["conditions"]}


def test_an_object_is_printed_with_its_status(place: Place) -> None:
    object_: Any = place.tells("get", "httproute", "good")
    assert object_["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert object_["spec"]["hostnames"] == ["a.example"]
    assert object_["metadata"]["generation"] == 1
    assert _conditions(object_) == {"Accepted": "Accepted", "ResolvedRefs": "BackendNotFound"}


@pytest.mark.parametrize("word", ["gw", "gateway", "Gateways", "gateways.gateway.networking.k8s.io"])
def test_a_kind_is_known_by_all_its_names(place: Place, word: str) -> None:
    assert place.tells("get", word, "gw")["metadata"]["name"] == "gw"  # type: ignore[index]


def test_a_gateway_is_not_programmed_while_no_proxy_is_there(place: Place) -> None:
    gateway: Any = place.tells("get", "gateway", "gw")
    shown = {one["type"]: (one["status"], one["reason"]) for one in gateway["status"]["conditions"]}
    assert shown["Accepted"][0] == "True"
    assert shown["Programmed"] == ("False", "Pending")


@pytest.mark.parametrize("words", [("httproute/bad",), ("HTTPRoute/other/bad",), ("httproute/bad", "-n", "other")])
def test_an_object_is_named_as_status_takes_it(place: Place, words: tuple[str, ...]) -> None:
    object_: Any = place.tells("get", *words)
    assert (object_["kind"], object_["metadata"]["namespace"], object_["metadata"]["name"]) == ("HTTPRoute", "other", "bad")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("httproute/default/bad",), "HTTPRoute default/bad is not there; of a name like that there is other/bad"),
        (("httproute/other/bad", "bad"), "'httproute/other/bad' names an object already: leave out bad"),
        (("httproute/other/bad", "-n", "default"), "'httproute/other/bad' and -n default contradict one another"),
        (("httproute/other/bad", "-A"), "'httproute/other/bad' and -A contradict one another"),
        (("httproute/",), "write KIND/NAME or KIND/NAMESPACE/NAME"),
    ],
)
def test_a_name_that_is_none(place: Place, words: tuple[str, ...], said: str) -> None:
    result = place.run("get", *words)
    assert said in result.stderr
    assert result.exit_code == (1 if "is not there" in said else 2)


def test_a_list_holds_every_namespace_or_one(place: Place) -> None:
    items: Any = place.tells("get", "httproutes", "-A")
    assert [one["metadata"]["name"] for one in items["items"]] == ["good", "twice", "bad"]
    items = place.tells("get", "httproutes", "-n", "other")
    assert [one["metadata"]["name"] for one in items["items"]] == ["bad"]


def test_what_was_deleted_is_gone(place: Place) -> None:
    result = place.run("get", "service", "web")
    assert result.exit_code == 1
    assert "Service web is not there: there is no Service at all" in result.stderr


def test_an_unknown_kind_names_those_that_are_known(place: Place) -> None:
    result = place.run("get", "toaster")
    assert result.exit_code == 2
    assert "httproutes" in result.stderr


def test_the_graph_names_routes_and_their_backends(place: Place) -> None:
    routes: Any = place.tells("graph", "routes")
    assert len(routes) == 3
    listeners: Any = place.tells("graph", "listeners")
    assert len(listeners) == 1
    assert "good" in place.prints("graph", "routes")


def test_status_names_refusals_and_conditions(place: Place) -> None:
    text = place.prints("status")
    assert "refused     x.yaml:3: a tab where none may be" in text
    assert "HTTPRoute/other/bad  parent default/gw: Accepted=False NotAllowedByListeners" in text
    assert "as wished" not in text


def test_status_of_one_object_holds_its_good_conditions_too(place: Place) -> None:
    text = place.prints("status", "HTTPRoute/good")
    assert "Accepted=True" in text
    assert "bad" not in text
    assert place.run("status", "HTTPRoute/nobody").exit_code == 1


def test_status_says_how_far_the_log_is_resolved(place: Place) -> None:
    answer: Any = place.tells("status")
    assert answer["log"]["behind"] is False
    assert answer["log"]["last"] == answer["log"]["resolved"]


def test_the_log_names_changes_and_what_they_did(place: Place) -> None:
    found: Any = place.tells("log")
    puts, deletion, refusal = found[0], found[1], found[2]
    assert {one["verb"] for one in puts["changes"]} == {"put"}
    assert puts["actor"] == "all.yaml"
    assert puts["downstream"]["fragments"]["set"]
    assert [one["verb"] for one in deletion["changes"]] == ["delete"]
    assert deletion["downstream"]["statuses"] == ["local/gateway.networking.k8s.io/HTTPRoute/default/good"]
    assert refusal["downstream"]["fragments"] == {"set": [], "removed": []}
    assert [one["offset"] for one in found] == sorted(one["offset"] for one in found)


def test_the_log_is_cut_at_its_limit(place: Place) -> None:
    whole: Any = place.tells("log")
    assert place.tells("log", "--limit", "2") == whole[-2:]
    assert len(json.loads(place.prints("log", "--limit", "1", "-o", "json"))) == 1


def test_a_replay_equals_what_is_live(place: Place) -> None:
    live = place.prints("replay", "--live", "--digest")
    assert place.prints("replay", "--digest") == live
    first: Any = place.tells("log", "--limit", "9")
    assert place.prints("replay", "--digest", "--to", str(first[0]["offset"])) != live


def test_a_replay_writes_what_comes_out(place: Place, tmp_path: Path) -> None:
    place.prints("replay", "--out", str(tmp_path / "out"))
    written = {path.name: json.loads(path.read_text()) for path in (tmp_path / "out").iterdir()}
    assert "local/gateway.networking.k8s.io/HTTPRoute/default/good" in written["statuses.json"]
    assert written["fragments.json"]


def test_a_replay_without_the_key_makes_none(place: Place, tmp_path: Path) -> None:
    result = place.run("replay", "--data", str(tmp_path))
    assert result.exit_code == 3
    assert "no sealing key" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [("get", "secret", "key", "-o", "yaml"), ("get", "secrets"), ("log", "-o", "json"), ("status", "-o", "json")],
)
def test_no_command_shows_a_secret(place: Place, words: tuple[str, ...]) -> None:
    text = place.prints(*words)
    assert CANARY not in text
    assert "AES" not in text


def test_brackets_are_no_markup(place: Place) -> None:
    from streams.cli.output import table

    assert place.prints("get", "gateways")
    table(("a",), [("spec.rules[0][bold]",)])


def test_options_do_not_leak_into_the_environment(place: Place) -> None:
    before = dict(os.environ)
    place.prints("graph", "gateways")
    assert dict(os.environ) == before


@pytest.mark.parametrize("words", [("get", "gateways"), ("status",), ("log",), ("graph", "routes"), ("dump", "gw")])
def test_nothing_runs(words: tuple[str, ...], tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from streams.cli import app

    result = CliRunner().invoke(app, [*words, "--data", str(tmp_path)])
    assert result.exit_code == (1 if words[0] == "dump" else 3)
    assert len(result.stderr.strip().splitlines()) == 1
    assert "penstock " in result.stderr
