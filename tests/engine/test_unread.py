"""A Secret that its source reads on request is pending, not missing, until the answer came; what was served goes on."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from engine.engine import Engine
from engine.events import Change, Delete, Put
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKind, Update, parse_fragment_key
from tests.support.certificate import pair
from tests.support.manifests import API, change_set, endpoints, gateway, put, route, service

_SEALER = Sealer(bytes(KEY_BYTES))
_GATEWAY = f"local/{API}/Gateway/default/gw"
Kinds = set[FragmentKind]


def secret(name: str, **data: str) -> Put:
    if not data:
        chain, key = (_SEALER.seal_text(one) for one in pair(ec.generate_private_key(ec.SECP256R1())))
        data = {"tls.crt": chain, "tls.key": key}
    return put("", "v1", "Secret", name, {"type": "kubernetes.io/tls", "data": data})


def serving(*names: str, generation: int = 1, clients: str = "") -> Put:
    """A Gateway with certificates, and a Secret with the authorities of its clients."""
    refs = [{"name": one} for one in names]
    found = gateway(
        "gw",
        {"name": "https", "port": 8443, "protocol": "HTTPS", "tls": {"certificateRefs": refs}},
        generation=generation,
    )
    if clients:
        named = {"caCertificateRefs": [{"group": "", "kind": "Secret", "name": clients}]}
        found.object["spec"]["tls"] = {"frontend": {"default": {"validation": named}}}  # type: ignore[index]
    return found


class World:
    """An engine whose only source reads Secrets on request."""

    def __init__(self, source: str = "kubernetes") -> None:
        self.engine, self.source, self.offset = Engine(_SEALER), source, 0

    def said(self, *changes: Change) -> Update:
        self.offset += 1
        return self.engine.apply(change_set(*changes, number=self.offset, source=self.source), self.offset)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.engine.everything().statuses.set[_GATEWAY]["status"]
        return found

    def gateway(self) -> dict[str, tuple[str, str]]:
        return {one["type"]: (one["status"], one["reason"]) for one in self.status()["conditions"]}

    def listener(self) -> dict[str, tuple[str, str]]:
        (only,) = self.status()["listeners"]
        return {one["type"]: (one["status"], one["reason"]) for one in only["conditions"]}

    def listening(self) -> list[bytes]:
        """The Envoy listeners, as bytes."""
        found = self.engine.everything().fragments.set.values()
        return [one.payload for one in found if one.key.kind is FragmentKind.LISTENER]

    def kinds(self) -> Kinds:
        return {parse_fragment_key(name).kind for name in self.engine.everything().fragments.set}


def test_it_is_pending_until_it_was_read() -> None:
    world = World()
    world.said(serving("a"))
    assert world.listener()["ResolvedRefs"] == ("Unknown", "Pending")
    assert world.listener()["Programmed"] == ("False", "Pending")
    assert world.listener()["Accepted"][0] == "True"
    assert world.gateway() == {"Accepted": ("True", "Accepted"), "Programmed": ("False", "Pending")}
    world.said(secret("a"))
    assert world.listener()["ResolvedRefs"] == ("True", "ResolvedRefs")
    assert FragmentKind.LISTENER in world.kinds()


def test_it_is_missing_once_that_is_the_answer_until_it_comes() -> None:
    world, ref = World(), secret("a").ref
    world.said(serving("a"))
    world.said(Delete(ref, was_read=True))
    assert world.listener()["ResolvedRefs"] == ("False", "InvalidCertificateRef")
    assert world.gateway()["Accepted"][0] == "False"
    loaded = Engine(_SEALER)
    loaded.load(world.engine.state().items())
    assert loaded.everything().statuses == world.engine.everything().statuses
    world.said(secret("a"))
    assert world.listener()["ResolvedRefs"][0] == "True"
    world.said(Delete(ref, was_read=True))
    assert world.listener()["ResolvedRefs"] == ("False", "InvalidCertificateRef")
    # It left the log, since nobody asked for it: asked for again, it has to be read again.
    world.said(Delete(ref))
    assert world.listener()["ResolvedRefs"] == ("Unknown", "Pending")


def test_of_manifests_everything_was_read() -> None:
    world = World("files")
    world.said(serving("a"))
    assert world.listener()["ResolvedRefs"] == ("False", "InvalidCertificateRef")


def test_a_cluster_of_kubernetes_may_become_one_of_manifests() -> None:
    world = World()
    world.said(serving("a"))
    world.source = "files"
    world.said(service())
    assert world.listener()["ResolvedRefs"] == ("False", "InvalidCertificateRef")


def test_one_more_certificate_breaks_nothing_until_it_is_read() -> None:
    world = World()
    world.said(serving("a"), secret("a"))
    before = world.listening()
    world.said(serving("a", "b", generation=2))
    assert world.listening() == before
    assert world.listener()["Programmed"][0] == "True"
    assert world.listener()["ResolvedRefs"] == ("Unknown", "Pending")
    world.said(secret("b"))
    assert world.listening() != before


def test_another_certificate_is_served_once_it_is_read_and_the_one_before_until_then() -> None:
    world = World()
    world.said(serving("a"), secret("a"))
    world.said(serving("b", generation=2))
    secrets = [name for name in world.engine.everything().fragments.set if "/secret/" in name]
    assert [one.rpartition("/")[2] for one in secrets] == ["a"]
    assert world.listener()["Programmed"][0] == "True"
    world.said(secret("b"))
    secrets = [name for name in world.engine.everything().fragments.set if "/secret/" in name]
    assert [one.rpartition("/")[2] for one in secrets] == ["b"]
    assert world.listener()["ResolvedRefs"][0] == "True"


def test_a_certificate_that_is_missing_ends_what_was_served() -> None:
    world = World()
    world.said(serving("a"), secret("a"))
    world.said(serving("b", generation=2))
    world.said(Delete(secret("b").ref, was_read=True))
    assert FragmentKind.LISTENER not in world.kinds()


def test_authorities_of_clients_stay_until_others_are_read() -> None:
    world, ca = World(), pair(ec.generate_private_key(ec.SECP256R1()))[0]
    first = secret("first", **{"ca.crt": _SEALER.seal_text(ca)})
    world.said(serving("a", clients="first"), secret("a"))
    assert FragmentKind.LISTENER not in world.kinds()
    assert world.listener()["Accepted"][0] == "True"
    assert world.listener()["ResolvedRefs"] == ("Unknown", "Pending")
    world.said(first)
    assert FragmentKind.LISTENER in world.kinds()
    world.said(serving("a", generation=2, clients="second"))
    assert FragmentKind.LISTENER in world.kinds()
    assert world.listener()["ResolvedRefs"] == ("Unknown", "Pending")
    world.said(Delete(Ref("local", "", "Secret", "default", "second"), was_read=True))
    assert world.listener()["Accepted"] == ("False", "NoValidCACertificate")
    assert FragmentKind.LISTENER not in world.kinds()


def test_a_backend_that_wants_tls_gets_nothing_in_clear_while_it_is_unread() -> None:
    world = World()
    authority = {"group": "", "kind": "Secret", "name": "ca"}
    spec = {
        "targetRefs": [{"group": "", "kind": "Service", "name": "s"}],
        "validation": {"hostname": "a.example.com", "caCertificateRefs": [authority]},
    }
    policy = put(API, "v1", "BackendTLSPolicy", "p", {"spec": spec})
    world.said(gateway(), service(), endpoints(), route("r"), policy)
    found = world.engine.everything()
    (ancestor,) = found.statuses.set[str(policy.ref)]["status"]["ancestors"]
    told = {one["type"]: (one["status"], one["reason"]) for one in ancestor["conditions"]}
    assert told == {"Accepted": ("Unknown", "Pending"), "ResolvedRefs": ("Unknown", "Pending")}
    assert FragmentKind.ENDPOINTS not in world.kinds()
