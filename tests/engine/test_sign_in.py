"""What proxies sign users in with, in the engine: what an edit of it reaches, and that nothing of it is ever in clear."""

from __future__ import annotations

from typing import Any, Final

from engine.engine import Engine
from engine.events import Put
from engine.seal import KEY_BYTES, Sealer
from tests.support.manifests import API, change_set, delete, endpoints, gateway, put, route, service

_KGATEWAY: Final = "gateway.kgateway.dev"
_SEALER: Final = Sealer(bytes(KEY_BYTES))
_AT: Final = f"local/{API}/Gateway/default/gw/secret/oauth2"
_CLIENT: Final = f"{_AT}/client_secret/default/client"
_SIGNED: Final = f"{_AT}/hmac_secret/default/x"


def _secret(text: str, generation: int = 1) -> Put:
    return put("", "v1", "Secret", "client", {"data": {"client-secret": _SEALER.seal_text(text.encode())}}, generation)


def _extension(generation: int = 1, **more: Any) -> Put:
    login = "https://login.example.com"
    spec = {
        "authorizationEndpoint": login, "tokenEndpoint": login, "backendRef": {"name": "s", "port": 80},
        "credentials": {"clientID": "a", "clientSecretRef": {"name": "client"}}, **more,
    }  # fmt: skip
    return put(_KGATEWAY, "v1alpha1", "GatewayExtension", "x", {"spec": {"oauth2": spec}}, generation)


def _policy() -> Put:
    target = {"group": API, "kind": "HTTPRoute", "name": "r"}
    return put(
        _KGATEWAY, "v1alpha1", "TrafficPolicy", "p",
        {"spec": {"targetRefs": [target], "oauth2": {"extensionRef": {"name": "x"}}}},
    )  # fmt: skip


def _engine() -> Engine:
    engine = Engine(_SEALER)
    objects = [gateway(), route("r"), service(), endpoints(), _secret("first one"), _extension(), _policy()]
    update = engine.apply(change_set(*objects), 0)
    assert update.warnings == ()
    for key, one in update.fragments.set.items():
        assert b"first one" not in one.payload
        assert one.sealed is key.startswith(_AT)
    assert {_CLIENT, _SIGNED} <= update.fragments.set.keys()
    return engine


def test_a_new_secret_of_the_client_reaches_its_fragment_alone() -> None:
    update = _engine().apply(change_set(_secret("another", 2), number=1), 1)
    assert list(update.fragments.set) == [_CLIENT]
    assert not update.fragments.removed


def test_an_edit_of_the_extension_leaves_what_cookies_are_signed_with() -> None:
    engine = _engine()
    before = engine.everything().fragments.set[_SIGNED].payload
    update = engine.apply(change_set(_extension(2, scopes=["openid"]), number=1), 1)
    assert engine.everything().fragments.set[_SIGNED].payload == before
    assert not any(_AT in key for key in update.fragments.removed)


def test_secrets_go_with_the_last_that_names_them() -> None:
    update = _engine().apply(change_set(delete(_policy()), number=1), 1)
    assert {key for key in update.fragments.removed if _AT in key} == {_CLIENT, _SIGNED}


def test_without_its_secret_a_route_is_closed() -> None:
    engine = _engine()
    update = engine.apply(change_set(delete(_secret("")), number=1), 1)
    assert {key for key in update.fragments.removed if _AT in key} == {_CLIENT, _SIGNED}
    assert not any(b"login.example.com" in one.payload for one in engine.everything().fragments.set.values())
    engine.apply(change_set(_secret("first one"), number=2), 2)
    assert engine.everything().fragments.set.keys() == _engine().everything().fragments.set.keys()
