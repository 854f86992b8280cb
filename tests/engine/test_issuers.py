"""What issuers say of themselves, in the engine: who is asked, what it does, and what goes before it."""

from __future__ import annotations

from typing import Any, Final

import pytest

from engine.engine import Engine
from engine.events import Change, Delete, Put, Quarantine
from engine.observed import configuration_ref, issuer_of, observation
from engine.update import FragmentKind
from tests.support.manifests import API, CLUSTER, change_set, delete, endpoints, gateway, put, route, service
from tests.support.story import KGATEWAY, SEALER

_ISSUER: Final = "https://login.example.com"
_REF: Final = configuration_ref(CLUSTER, _ISSUER)
_LOOKUP: Final = f"lookup/{_REF}"
_SAID: Final = {"authorizationEndpoint": f"{_ISSUER}/authorize", "tokenEndpoint": f"{_ISSUER}/token"}


def said(generation: int = 1, **spec: str) -> Put:
    """What the issuer says."""
    return Put(_REF, observation(_REF, {"issuer": _ISSUER, **spec}, generation))


def extension(generation: int = 1, **more: Any) -> Put:
    """One that leaves its endpoints to the issuer."""
    spec = {
        "backendRef": {"name": "s", "port": 80},
        "credentials": {"clientID": "a", "clientSecretRef": {"name": "client"}},
        "issuerURI": _ISSUER,
        **more,
    }
    return put(KGATEWAY, "v1alpha1", "GatewayExtension", "x", {"spec": {"oauth2": spec}}, generation)


def policy() -> Put:
    """It has users sign in on a route."""
    spec = {"targetRefs": [{"group": API, "kind": "HTTPRoute", "name": "r"}], "oauth2": {"extensionRef": {"name": "x"}}}
    return put(KGATEWAY, "v1alpha1", "TrafficPolicy", "p", {"spec": spec})


class World:
    """An engine with a route that users sign in for; after each change a boot from its state gives the same."""

    def __init__(self, *changes: Change) -> None:
        self.engine, self.offset = Engine(SEALER), -1
        secret = put("", "v1", "Secret", "client", {"data": {"client-secret": SEALER.seal_text(b"shh")}})
        self.tell(gateway(), route("r"), service(), endpoints(), secret, policy(), *changes)

    def tell(self, *changes: Change) -> int:
        """How many queries that reran."""
        self.offset += 1
        before = self.engine.graph.work.reruns
        assert self.engine.apply(change_set(*changes, number=self.offset), self.offset).warnings == ()
        reruns = self.engine.graph.work.reruns - before
        loaded = Engine(SEALER)
        loaded.load(self.engine.state().items())
        assert loaded.everything() == self.engine.everything()
        return reruns

    def has(self, text: str) -> bool:
        """Whether proxies are told a text."""
        return any(text.encode() in one.payload for one in self.engine.everything().fragments.set.values())

    def is_asked(self) -> bool:
        return _LOOKUP in self.engine.everything().infra.set

    def accepted(self) -> tuple[str, str, str]:
        """The extension's condition."""
        (one,) = self.engine.everything().statuses.set[str(extension().ref)]["status"]["conditions"]
        return one["status"], one["reason"], one["message"]

    def pictures(self) -> dict[str, bytes]:
        return {key: one.payload for key, one in self.engine.everything().fragments.set.items()}


def test_an_issuer_can_be_read_from_its_ref() -> None:
    for issuer in (_ISSUER, f"{_ISSUER}:8443/realms/a%20b/", "https://a.example.com/~x,y"):
        assert issuer_of(configuration_ref(CLUSTER, issuer)) == issuer


def test_it_is_closed_until_the_issuer_has_spoken_and_then_as_if_it_were_written() -> None:
    world = World(extension())
    assert world.is_asked()
    assert world.accepted()[:2] == ("Unknown", "Pending")
    assert not world.has("/authorize")
    world.tell(said(error="it cannot be reached over HTTPS"))
    assert world.accepted()[:2] == ("False", "Invalid")
    assert f"issuer {_ISSUER} is awaited: it cannot be reached over HTTPS" in world.accepted()[2]
    assert not world.has("/authorize")
    world.tell(said(2, **_SAID))
    assert world.accepted()[0] == "True"
    assert world.pictures() == World(extension(**_SAID)).pictures()


def test_what_is_written_goes_before_what_it_says() -> None:
    world = World(extension(tokenEndpoint=f"{_ISSUER}/mine", scopes=["openid"]), said(**_SAID, endSessionEndpoint=f"{_ISSUER}/end"))
    assert world.has("/mine")
    assert not world.has("/token")
    assert world.has("/end")


def test_who_writes_all_endpoints_asks_nobody() -> None:
    world = World(extension(**_SAID))
    assert not world.is_asked()
    assert world.tell(said(**dict.fromkeys(_SAID, f"{_ISSUER}/other"))) == 0
    assert not world.has("/other")


def test_its_keys_are_asked_for_where_tokens_are_checked() -> None:
    checked = extension(**_SAID, jwt={"accessToken": {}})
    world = World(checked)
    assert world.is_asked()
    world.tell(said(**_SAID))
    assert world.accepted()[2].endswith("says nothing for jwksURI: write it here")
    world.tell(said(2, **_SAID, jwksURI=f"{_ISSUER}/keys"))
    assert world.has("/keys")


@pytest.mark.parametrize("uri", ["http://login.example.com/t", "https://", "javascript:alert(1)", "https://a b/", "x" * 9000])
def test_what_is_no_endpoint_closes(uri: str) -> None:
    world = World(extension(), said(**{**_SAID, "tokenEndpoint": uri}))
    assert world.accepted()[:2] == ("False", "Invalid")
    assert "no https URL" in world.accepted()[2]
    assert len(world.accepted()[2]) < 400
    assert not world.has("/authorize")


def test_nobody_is_asked_once_nobody_needs_it() -> None:
    world = World(extension(), said(**_SAID))
    before = world.pictures()
    world.tell(delete(extension()), delete(policy()))
    assert not world.is_asked()
    world.tell(Delete(_REF))
    world.tell(extension(), policy())
    assert world.is_asked()
    world.tell(said(**_SAID))
    assert world.pictures() == before


def test_a_change_of_it_reaches_those_alone_that_sign_in_with_it() -> None:
    """As many queries beside fifty other issuers as beside one."""
    costs = []
    for others in (1, 50):
        world = World(extension(), said(**_SAID))
        for at in range(others):
            issuer = f"https://{at}.example.com"
            ref = configuration_ref(CLUSTER, issuer)
            one = extension(issuerURI=issuer)
            named = one.ref._replace(name=f"x{at}")
            metadata = {**one.object["metadata"], "name": named.name}
            world.tell(Put(named, {**one.object, "metadata": metadata}), Put(ref, observation(ref, {"issuer": issuer, **_SAID})))
        costs.append(world.tell(said(2, **{**_SAID, "tokenEndpoint": f"{_ISSUER}/new"})))
    assert costs[0] == costs[1]
    assert costs[0] > 0
    assert world.has("/new")


def test_what_a_proxy_rejects_of_it_is_what_it_said_before() -> None:
    world = World(extension(), said(**_SAID))
    good = world.pictures()
    world.tell(said(2, **{**_SAID, "tokenEndpoint": f"{_ISSUER}/bad"}))
    (route_,) = [one for one in world.engine.everything().fragments.set.values() if one.key.kind is FragmentKind.ROUTE]
    assert (_REF, 2) in route_.provenance
    world.tell(Quarantine(route_.key.gateway, str(route_.key), route_.version, route_.provenance, "no", "1.40"))
    assert world.pictures() == good
    world.tell(said(3, **{**_SAID, "tokenEndpoint": f"{_ISSUER}/new"}))
    assert world.has("/new")
