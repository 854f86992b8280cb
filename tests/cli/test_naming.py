"""An object that is not there: the words say so, and name those of a name near to it; whoever names none is told how."""

from __future__ import annotations

import pytest

from engine.ref import Ref
from streams.cli.naming import Wanted, known, wanted

_API = "gateway.networking.k8s.io"
THERE = [
    *(Ref("local", _API, "HTTPRoute", space, name) for space, name in (("default", "shop"), ("other", "shop"), ("a", "cart"))),
    Ref("local", _API, "GatewayClass", "", "penstock"),
    Ref("east", _API, "HTTPRoute", "default", "shop"),
]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("HTTPRoute/shoq", "HTTPRoute shoq is not there; of a name like that there is default/shop, other/shop"),
        ("httproutes/mine/shop", "HTTPRoute mine/shop is not there; of a name like that there is default/shop, other/shop"),
        ("HTTPRoute/zzz", "HTTPRoute zzz is not there, nor one of a name like that: see `penstock get httproutes`"),
        ("gc/penstok", "GatewayClass penstok is not there; of a name like that there is penstock"),
        ("svc/shop", "Service shop is not there: there is no Service at all"),
    ],
)
def test_it_is_not_there(text: str, words: str) -> None:
    meant = wanted(text)
    assert not any(map(meant.takes, THERE))
    assert meant.absent(THERE) == words


@pytest.mark.parametrize("text", ["HTTPRoute/shop", "httproute/other/shop", "HTTPROUTES.gateway.networking.k8s.io/a/cart", "GatewayClass//penstock"])
def test_it_is(text: str) -> None:
    assert any(map(wanted(text).takes, THERE))


@pytest.mark.parametrize("text", ["shop", "HTTPRoute/", "/shop", "HTTPRoute/a/b/c", ""])
def test_it_is_no_name(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        wanted(text)
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert "write KIND/NAME or KIND/NAMESPACE/NAME" in told or "unknown kind" in told


def test_a_kind_with_a_slip(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        known("httprout")
    assert "unknown kind httprout; did you mean httproutes? known: " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        known("zzz")
    assert "unknown kind zzz; known: " in capsys.readouterr().err


def test_all_of_a_kind() -> None:
    meant = Wanted(known("httproutes"), None, None)
    assert [meant.takes(ref) for ref in THERE] == [True, True, True, False, True]
