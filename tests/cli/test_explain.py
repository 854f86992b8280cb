"""`penstock explain` on a log: what it answers, of which moment, and how wrong words end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.log import CANARY, Place, resolved

_REDIRECTED = "http://b.example:8080/x"
_FAILED = "http://a.example:8080/x"


@pytest.fixture(scope="module")
def place(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with resolved(broker, tmp_path_factory.mktemp("data")) as found:
        yield found


@pytest.mark.kafka
def test_a_request_is_explained_with_the_revisions_behind_it(place: Place) -> None:
    text = place.prints("explain", _REDIRECTED)
    assert "Gateway default/gw\n  listener listener~8080\n" in text
    assert "wins  HTTPRoute default/twice rule 0 (path is any): all of it is met" in text
    assert "302, to http://c.example:8080/x" in text
    assert "HTTPRoute default/twice" in text.partition("OBJECT")[2]
    assert CANARY not in text


@pytest.mark.kafka
def test_as_of_another_moment(place: Place) -> None:
    """The first change set made the Service of the route, the second took it away."""
    now: Any = place.tells("explain", "GET", _FAILED)
    (outcome,) = now[0]["outcomes"]
    assert (outcome["kind"], outcome["status"]) == ("unserved", 500)
    then: Any = place.tells("explain", "GET", _FAILED, "--at", "0")
    assert then[0]["outcomes"][0]["backend"] == "kube_default_web_80"


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("a.example",), 2, "'a.example' is no URL: write it as in https://shop.example.com/pay"),
        (("GET", "http://a.example:8080", "more"), 2, "give a URL, or a method and a URL"),
        ((_REDIRECTED, "-H", "x-env"), 2, "-H 'x-env' is no header: write it as in 'x-env: test'"),
        ((_REDIRECTED, "-H", "x-env: \udcff"), 2, "'x-env: \\udcff' is no UTF-8"),
        ((_REDIRECTED, "--client", "notanip"), 2, "--client 'notanip' is no address: write it as in 203.0.113.7"),
        ((_REDIRECTED, "--client", ""), 2, "--client '' is no address"),
        ((_REDIRECTED, "--gateway", "gw@"), 2, "--gateway 'gw@' names no cluster: write NAME@CLUSTER"),
        ((_REDIRECTED, "--at", "9999-12-31T23:59"), 2, "--at '9999-12-31T23:59' is yet to come"),
        (("http://a.example",), 1, "no Gateway listens on port 80 (default/gw on 8080): name the listener's port with --port"),
        ((_REDIRECTED, "--gateway", "other"), 1, "there is no Gateway other that is served: there is default/gw"),
        ((_REDIRECTED, "--gateway", "gw@west"), 1, "Gateway default/gw has no proxies in cluster west: it has them in local"),
        ((_REDIRECTED, "--at", "999"), 1, "there is no offset 999"),
    ],
)
def test_what_cannot_be_explained_is_told(place: Place, words: tuple[str, ...], code: int, said: str) -> None:
    result = place.run("explain", *words)
    assert result.exit_code == code
    assert said in result.stderr
    assert result.stdout == ""


@pytest.mark.kafka
def test_behind_a_load_balancer(place: Place) -> None:
    """The listener's port is another one than the client's."""
    told: Any = place.tells("explain", "http://b.example/x", "--port", "8080", "--gateway", "default/gw")
    assert told[0]["outcomes"][0]["location"] == "http://c.example:8080/x"
