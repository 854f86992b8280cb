"""`penstock history` and `show`: what changed, by whom, what it did; and one object of one moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engine.ref import Ref
from streams.cli.commands.show import _served, _text
from tests.cli.log import CANARY, TIME, Place, resolved

_POLICY = Ref("local", "g", "K", "default", "p")


@pytest.fixture(scope="module")
def place(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with resolved(broker, tmp_path_factory.mktemp("data")) as found:
        yield found


@pytest.mark.kafka
def test_of_an_object_the_newest_first(place: Place) -> None:
    found: Any = place.tells("history", "services/web")
    assert [[change["verb"] for change in one["changes"]][-1:] for one in found] == [["delete"], ["put"]]
    assert found[0]["offset"] > found[1]["offset"]
    assert (found[0]["actor"], found[0]["time"], found[0]["cluster"]) == ("all.yaml", TIME, "local")
    assert found[0]["routing"]["hosts"] == ["a.example"], "its route went over to 500"
    text = place.prints("history", "services/web")
    assert "delete Service/default/web" in text
    assert "hosts a.example" in text
    assert CANARY not in text


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("words", "many"),
    [
        (("--host", "A.example"), 2),
        (("--host", "nobody.example"), 0),
        (("--namespace", "other"), 1),
        (("--actor", "all.yaml"), 3),
        (("--actor", "nobody"), 0),
        (("--actor", "all.yaml", "--limit", "1"), 1),
        (("--actor", "all.yaml", "--until", "0"), 1),
        (("--actor", "all.yaml", "--since", "1"), 2),
        (("--actor", "all.yaml", "--until", "1999-01-01"), 0),
        (("--actor", "all.yaml", "--since", TIME), 3),
        (("--cluster", "elsewhere"), 0),
        (("httproutes/good", "--host", "a.example", "--namespace", "default"), 1),
        (("HTTPRoute/other/good",), 0),
        (("--limit", "0"), 0),
    ],
)
def test_filters_hold_all_together(place: Place, words: tuple[str, ...], many: int) -> None:
    found: Any = place.tells("history", *words)
    assert len(found) == many


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--limit", "-1"), "--limit -1 is less than none"),
        (("--since", "yesterday"), "--since 'yesterday' is no moment"),
        (("--since", "2099-01-01"), "--since '2099-01-01' is yet to come"),
        (("--until", "2099-01-01"), "--until '2099-01-01' is yet to come"),
        (("routes",), "names no object"),
        (("HTTPRoute/a/x", "-n", "b"), "contradict one another"),
    ],
)
def test_words_that_are_off_are_told(place: Place, words: tuple[str, ...], said: str) -> None:
    result = place.run("history", *words)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.kafka
def test_an_object_with_who_said_it(place: Place) -> None:
    text = place.prints("show", "httproutes/good")
    assert text.startswith(
        "# ref: local/gateway.networking.k8s.io/HTTPRoute/default/good\n# revision: 1\n# offset: 0\n"
    )
    assert f"# time: '{TIME}'" in text or f"# time: {TIME}" in text
    assert "# actor: all.yaml" in text
    assert "BackendNotFound" in text
    assert "BackendNotFound" not in place.prints("show", "httproutes/good", "--at", "0")
    found: Any = place.tells("show", "httproutes/good")
    assert (found["offset"], found["served"], found["object"]["kind"]) == (0, None, "HTTPRoute")


@pytest.mark.kafka
def test_an_object_that_is_gone_is_shown_of_before(place: Place) -> None:
    result = place.run("show", "services/web")
    assert result.exit_code == 1
    assert "what became of it tells `penstock history Service/web`" in result.stderr
    assert "kind: Service" in place.prints("show", "services/web", "--at", "0")


@pytest.mark.kafka
def test_a_secret_is_never_shown(place: Place) -> None:
    text = place.prints("show", "secrets/key")
    assert "token: <sealed>" in text
    assert CANARY not in text


def _row(**more: Any) -> dict[str, Any]:
    object_ = {"kind": "K", "metadata": {"name": "p", "generation": 3}}
    return {"object": object_, "offset": 9, "time": TIME, "actor": "me", "refusal": "", "previous": None, **more}


_BEFORE = {"kind": "K", "metadata": {"name": "p", "generation": 2}}


def test_what_is_refused_tells_which_revision_is_served() -> None:
    row = _row(refusal="spec.x: no", previous=_BEFORE)
    served = _served(_POLICY, row, {})
    assert served is not None
    assert (served["revision"], served["because"][0]["error"]) == (2, "spec.x: no")
    text = _text(
        {"ref": str(_POLICY), "revision": 3, "offset": 9, "time": TIME, "actor": "me"}
        | {"served": served, "object": row["object"]}
    )
    assert "# refused: spec.x: no" in text
    assert "# served instead: revision 2\nkind: K" in text


def test_what_a_proxy_refuses_is_told_with_its_words() -> None:
    gateway = "local/gateway.networking.k8s.io/Gateway/default/gw"
    hold = {"gateway": gateway, "fragment": f"{gateway}/route/x", "objects": [[str(_POLICY), 3]], "error": "bad\nregex"}
    served = _served(_POLICY, _row(), {"quarantine/x": {**hold, "address": ""}})
    assert served is not None
    assert served["object"] is None
    text = _text(
        {"ref": str(_POLICY), "revision": 3, "offset": 9, "time": TIME, "actor": "me"}
        | {"served": served, "object": _BEFORE}
    )
    assert "# refused by a proxy of Gateway default/gw: bad\n# regex" in text
    assert "# served: no revision, requests for it are answered with 500" in text
    other = Ref("local", "g", "K", "default", "other")
    assert _served(other, _row(), {"quarantine/x": hold}) is None
