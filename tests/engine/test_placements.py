"""Gateways of the configuration cluster on proxies of clusters that they select."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import Secret

from engine.engine import Engine, EngineSettings
from engine.envoy.remote_gateway import IDENTITY
from engine.events import CONTROL, Delete, Pin, Put, Quarantine
from engine.history.explain import configs
from engine.history.explain.backend import endpoints as explained
from engine.placement import Placement, parse_placement
from engine.ref import Ref
from engine.resolve.remote_gateway import GATEWAYS
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKey, FragmentKind, Update, parse_fragment_key
from tests.property.test_imports import described, export, in_cluster, placed, told
from tests.support.manifests import API, change_set, endpoints, gateway, put, route, service

_IMPORT = {"group": "multicluster.x-k8s.io", "kind": "ServiceImport", "name": "s", "port": 80}
_GATEWAY = placed(None).ref
_ENDPOINTS = "import_default_s_80"


class Site:
    """Clusters local, which is the configuration cluster, east and west, of which all export s."""

    def __init__(self, selects: str | None, rule: dict[str, Any] = _IMPORT, **given: Any) -> None:
        given = {"configuration_cluster": "local", **given}
        self.engine = Engine(Sealer(bytes(KEY_BYTES)), EngineSettings(**given))
        self.number = 0
        self.tell(placed(selects), route("r", rules=[{"backendRefs": [rule]}]))
        self.tell(described("east", region="r1"), described("west", region="r1"), described("local", region="r2"))
        for last, name in enumerate(("local", "east", "west"), 1):
            self.tell(*(in_cluster(one, name) for one in (service(), export(), endpoints("s", f"127.0.0.{last}"))))

    def tell(self, *changes: Put | Delete) -> Update:
        for one in changes:
            self.number += 1
            update = told(self.engine, self.number, one)
            assert not update.warnings
        return update

    @property
    def infra(self) -> list[str]:
        return sorted(key for key in self.engine.everything().infra.set if not key.startswith("lookup/"))

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.engine.everything().statuses.set[str(_GATEWAY)]
        return found

    def condition(self, kind: str) -> tuple[str, str, str]:
        found = next(one for one in self.status["status"]["conditions"] if one["type"] == kind)
        return found["status"], found["reason"], found["message"]

    def given(self, cluster: str, gateway: Ref = _GATEWAY, name: str = _ENDPOINTS) -> Fragment:
        """The endpoints that proxies of a cluster are given."""
        found = self.engine.everything().fragments.set
        keys = [FragmentKey(gateway, FragmentKind.ENDPOINTS, one) for one in (f"{name}@{cluster}", name)]
        one: Fragment = next(found[str(key)] for key in keys if str(key) in found)
        return one


def test_without_a_word_it_is_in_its_own_cluster() -> None:
    site = Site(None)
    assert site.infra == [str(_GATEWAY)]
    assert site.status["programmed"] == {str(_GATEWAY): 1}
    assert not [one for one in site.status["status"]["conditions"] if one["type"] == "penstock.dev/Placed"]


@pytest.mark.parametrize(
    ("selects", "clusters"),
    [("east, west", "east west"), ("*", "east local west"), (" local ,west,", "local west"), ("west,west", "west")],
)
def test_it_has_proxies_where_it_says(selects: str, clusters: str) -> None:
    site = Site(selects)
    wanted = [str(Placement(_GATEWAY, one)) for one in clusters.split()]
    assert site.infra == sorted(wanted)
    assert sorted(site.status["programmed"]) == sorted(wanted)
    assert site.condition("penstock.dev/Placed") == (
        "True",
        "Placed",
        f"it has proxies in {', '.join(clusters.split())}",
    )
    rows = site.engine.everything().infra.set
    assert {rows[one]["gateway"] for one in wanted} == set(wanted)
    assert {rows[one]["name"] for one in wanted} == {"gw"}


@pytest.mark.parametrize("cluster", ["east", "west", "local"])
def test_its_proxies_are_given_what_a_gateway_of_their_cluster_would_be(cluster: str) -> None:
    site = Site("*")
    own = gateway("own", {"name": "http", "port": 8081, "protocol": "HTTP"})
    there = {**route("r2", rules=[{"backendRefs": [_IMPORT]}]).object}
    there["spec"] = {**there["spec"], "parentRefs": [{"name": "own"}]}
    site.tell(in_cluster(own, cluster), in_cluster(Put(route("r2").ref, there), cluster))
    mine = site.given(cluster, own.ref._replace(cluster=cluster))
    assert site.given(cluster).payload == mine.payload
    others = {site.given(one).payload for one in ("east", "west", "local")}
    assert len(others) == 3


@pytest.mark.parametrize(("where", "address"), [("", "127.0.0.1"), ("east", "127.0.0.2"), ("west", "127.0.0.3"), ("north", "127.0.0.1")])  # fmt: skip
def test_an_explanation_has_the_endpoints_of_the_proxies_that_are_meant(where: str, address: str) -> None:
    fragments = Site("*").engine.everything().fragments.set
    (config,) = configs(fragments, Sealer(bytes(KEY_BYTES)), where).values()
    found = explained(config, _ENDPOINTS) or ()
    assert next(one.address for one in found if not one.priority) == address


def test_only_what_differs_is_there_twice() -> None:
    site = Site("east, west")
    keys = [one.key for one in site.engine.everything().fragments.set.values()]
    twice = [one for one in keys if "@" in one.name and one.kind is not FragmentKind.SECRET]
    assert {(one.kind, one.name) for one in twice} == {
        (FragmentKind.ENDPOINTS, f"{of}@{cluster}") for of in (_ENDPOINTS, "") for cluster in ("east", "west")
    }
    site.tell(placed("local"))
    assert not [one for one in site.engine.everything().fragments.set.values() if "@" in one.key.name]


def test_a_service_of_its_own_cluster_is_not_asked_from_another_network() -> None:
    """What has its address there is somebody else."""
    site = Site("east, west", {"name": "s", "port": 80})
    name = "kube_default_s_80"
    assert b"127.0.0.1" in site.given("east", name=name).payload
    assert "@" not in site.given("east", name=name).key.name
    site.tell(described("east", network="n1"))
    assert b"127.0.0.1" not in site.given("east", name=name).payload
    assert b"127.0.0.1" in site.given("west", name=name).payload


def test_ways_lead_to_other_networks_from_wherever_it_has_proxies() -> None:
    site = Site("local")
    entry = {"address": "127.0.0.9", "port": 15443}
    cluster = str(FragmentKey(_GATEWAY, FragmentKind.CLUSTER, _ENDPOINTS))
    site.tell(described("local", remoteGateway=entry))
    assert b"svc.clusterset.local" not in site.engine.everything().fragments.set[cluster].payload
    site.tell(described("east", network="n1"), placed("local, east"))
    assert b"svc.clusterset.local" in site.engine.everything().fragments.set[cluster].payload
    assert b"127.0.0.9" in site.given("east").payload
    assert b"127.0.0.9" not in site.given("local").payload


def test_proxies_show_other_networks_the_cluster_that_they_are_in() -> None:
    """One in a member would pass for the remote gateway of the configuration cluster otherwise."""
    site = Site("local, east")
    site.tell(described("west", network="n1", remoteGateway={"address": "127.0.0.9", "port": 15443}))
    shown = {}
    for name, one in site.engine.everything().fragments.set.items():
        key = parse_fragment_key(name)
        if key.kind is FragmentKind.SECRET:
            secret = Secret.parse(Sealer(bytes(KEY_BYTES)).unseal(one.payload, name.encode()))
            assert secret.name == IDENTITY
            chain = secret.tls_certificate.certificate_chain.inline_bytes  # type: ignore[union-attr]
            names = x509.load_pem_x509_certificate(chain).extensions.get_extension_for_class(x509.SubjectAlternativeName)
            shown[key.name] = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    assert shown == {IDENTITY: [f"{GATEWAYS}{_GATEWAY}"], f"{IDENTITY}@east": [f"{GATEWAYS}east/{_GATEWAY}"]}
    site.tell(placed("local"))
    assert not [one for one in site.engine.everything().fragments.set if "@" in one]


def test_what_ends_where_it_has_proxies_is_asked_while_no_gateway_of_another_network_can_be() -> None:
    """As proxies of that cluster's own Gateway would be given it."""
    site = Site("east")
    entry = {"address": "127.0.0.9", "port": 15443}
    site.tell(described("local", remoteGateway=entry), described("east", network="n1"))
    slice_ = endpoints("s", "127.0.0.2")
    conditions = {"ready": False, "serving": True, "terminating": True}
    ends = [{"addresses": ["127.0.0.2"], "conditions": conditions}]
    site.tell(in_cluster(Put(slice_.ref, {**slice_.object, "endpoints": ends}), "east"))
    assert b"127.0.0.9" in site.given("east").payload
    names = [{"group": _IMPORT["group"], "kind": "ServiceImport", "name": "s"}]
    trust = {"hostname": "a.example", "wellKnownCACertificates": "System"}
    site.tell(put(API, "v1", "BackendTLSPolicy", "p", {"spec": {"targetRefs": names, "validation": trust}}))
    assert b"127.0.0.9" not in site.given("east").payload
    assert b"127.0.0.2" in site.given("east").payload


@pytest.mark.parametrize(
    ("selects", "reason", "words", "clusters"),
    [
        ("east, north", "ClusterNotFound", "of north, which penstock.dev/clusters names", ["east", "north"]),
        ("north", "ClusterNotFound", "of north", ["north"]),
        ("prod.example, east", "InvalidName", "names prod.example", ["east"]),
        ("", "NoResources", "nowhere", []),
        (" , ", "NoResources", "nowhere", []),
        ("A b/c@d", "InvalidName", "names A b/c@d", []),
        ("x" * 5000, "InvalidName", "names xxx", []),
    ],
)
def test_what_cannot_be_selected_is_told(selects: str, reason: str, words: str, clusters: list[str]) -> None:
    site = Site(selects)
    status, why, said = site.condition("penstock.dev/Placed")
    assert (status, why) == ("False", reason)
    assert words in said
    assert len(said) < 600
    assert site.infra == [str(Placement(_GATEWAY, one)) for one in clusters]
    if not clusters:
        assert site.condition("Programmed")[:2] == ("False", "NoResources")


def test_a_namesake_of_a_members_own_goes_before() -> None:
    site = Site("east, west")
    own = in_cluster(gateway("gw"), "west")
    site.tell(own)
    assert site.infra == sorted([str(own.ref), str(Placement(_GATEWAY, "east"))])
    status, reason, words = site.condition("penstock.dev/Placed")
    assert (status, reason) == ("False", "NameTaken")
    assert "west has a Gateway default/gw of its own" in words
    site.tell(Delete(own.ref))
    assert site.infra == [str(Placement(_GATEWAY, one)) for one in ("east", "west")]


@pytest.mark.parametrize("configuration", ["east", ""])
def test_it_counts_in_the_configuration_cluster_only(configuration: str) -> None:
    site = Site("east, west", configuration_cluster=configuration)
    assert site.infra == [str(_GATEWAY)]
    assert site.condition("penstock.dev/Placed")[:2] == ("False", "NotConfigurationCluster")


def test_a_quarantine_of_the_gateway_moves_no_proxies() -> None:
    """Its annotation was never what a proxy rejected, though it came after the last good revision."""
    site = Site("east")
    site.tell(_with(placed("east"), port=8081, generation=2), _with(placed("east, west"), port=8081, generation=2))
    (listener,) = (one for one in _fragments(site) if one.key.kind is FragmentKind.LISTENER)
    at, name, version = listener.key.gateway, str(listener.key), listener.version
    verdict = Quarantine(at, name, version, listener.provenance, "no", "1.40.0", "")
    site.engine.apply(change_set(verdict, number=90, source="publisher"), 90)
    held = {one.key.name for one in _fragments(site) if one.key.kind is FragmentKind.LISTENER}
    assert name not in held
    assert "listener~8080" in held
    assert site.infra == [str(Placement(_GATEWAY, one)) for one in ("east", "west")]


def _with(of: Put, port: int, generation: int) -> Put:
    """Another revision, that listens elsewhere."""
    listener = {"name": "http", "port": port, "protocol": "HTTP"}
    metadata = {**of.object["metadata"], "generation": generation}
    return Put(of.ref, {**of.object, "metadata": metadata, "spec": {**of.object["spec"], "listeners": [listener]}})


def _fragments(site: Site) -> list[Fragment]:
    return list(site.engine.everything().fragments.set.values())


def _booted(site: Site) -> Update:
    engine = Engine(Sealer(bytes(KEY_BYTES)), EngineSettings(configuration_cluster="local"))
    engine.load(site.engine.state().items())
    return engine.everything()


def test_a_namesake_that_comes_while_the_gateway_is_pinned_goes_before_all_the_same() -> None:
    """Else its addresses would be told as the pinned one's; a boot placed its proxies there again."""
    site = Site("east, west")
    pin = Pin("p", _GATEWAY, site.number, "it broke")
    site.engine.apply(change_set(pin, number=90, source=CONTROL), 90)
    site.number = 90
    own = in_cluster(gateway("gw"), "west")
    site.tell(own)
    assert site.infra == sorted([str(own.ref), str(Placement(_GATEWAY, "east"))])
    assert _booted(site) == site.engine.everything()


def test_a_namesake_that_goes_while_the_gateway_is_pinned_leaves_it_the_place() -> None:
    """A boot found it where it was when the pin came, and ended the proxies."""
    site = Site("east, west")
    own = in_cluster(gateway("gw"), "west")
    site.tell(own)
    pin = Pin("p", _GATEWAY, site.number, "it broke")
    site.engine.apply(change_set(pin, number=90, source=CONTROL), 90)
    site.number = 90
    site.tell(Delete(own.ref))
    assert site.infra == [str(Placement(_GATEWAY, one)) for one in ("east", "west")]
    assert _booted(site) == site.engine.everything()


def test_a_cluster_object_that_is_deleted_by_mistake_costs_no_proxies() -> None:
    site = Site("east, west")
    update = site.tell(Delete(described("west").ref))
    assert not update.infra.removed
    assert site.infra == [str(Placement(_GATEWAY, one)) for one in ("east", "west")]
    assert site.condition("penstock.dev/Placed")[:2] == ("False", "ClusterNotFound")


def test_who_is_selected_again_has_nothing_until_it_acknowledges() -> None:
    site = Site("east")
    site.tell(placed("local"))
    site.tell(placed("east, local"))
    programmed = site.status["programmed"]
    assert programmed[str(Placement(_GATEWAY, "east"))] == site.number
    assert programmed[str(_GATEWAY)] < site.number
    site.tell(placed("local"))
    assert not [key for key, _ in site.engine.state().items() if key.startswith("changed/") and "@" in key]


def test_a_cluster_more_puts_none_out() -> None:
    site = Site("*")
    site.tell(*(described(f"b{one:03d}") for one in range(97)))
    before = site.infra
    assert len(before) == 100
    young = described("aaa")
    metadata = {**young.object["metadata"], "creationTimestamp": "2030-01-01T00:00:00Z"}
    site.tell(Put(young.ref, {**young.object, "metadata": metadata}))
    assert site.infra == before
    assert site.condition("penstock.dev/Placed")[1] == "TooManyClusters"


def test_a_cluster_object_that_goes_puts_no_named_one_out() -> None:
    """Neither its own cluster, nor, of more than count, another: which of those named count, the annotation says."""
    names = [f"b{one:03d}" for one in range(101)]
    site = Site(None)
    site.tell(*map(_aged, names))
    for selects in (names, names[::-1], ["*", *names]):
        site.tell(placed(", ".join(selects)))
        before = site.infra
        count = [one for one in selects if one != "*"][:100]
        assert before == sorted(str(Placement(_GATEWAY, one)) for one in count)
        for gone in (names[0], names[50], names[100]):
            assert not site.tell(Delete(described(gone).ref)).infra.removed
            assert site.infra == before
            site.tell(_aged(gone))


def _aged(name: str) -> Put:
    """The one with a lower number is the older one."""
    one = described(name)
    metadata = {**one.object["metadata"], "creationTimestamp": f"2026-01-01T00:{name[1:3]}:0{name[3]}Z"}
    return Put(one.ref, {**one.object, "metadata": metadata})


def test_clusters_that_look_at_an_import_alike_are_given_the_same() -> None:
    site = Site("*")
    site.tell(*(described(f"c{one}", region=f"r{one % 2}") for one in range(20)))
    assert len({site.given(f"c{one}").payload for one in range(20)}) == 2
    assert site.given("c1").payload == site.given("c3").payload != site.given("c2").payload


def test_an_address_is_asked_for_in_one_cluster() -> None:
    site = Site("east, local")
    asks = placed("east, local")
    asks = Put(asks.ref, {**asks.object, "spec": {**asks.object["spec"], "addresses": [{"value": "192.0.2.1"}]}})
    site.tell(asks)
    rows = site.engine.everything().infra.set
    assert [rows[one]["addresses"] for one in site.infra] == [["192.0.2.1"], []]


def _balancer(cluster: str, *addresses: str) -> Put:
    body = {
        "metadata": {"labels": {"gateway.networking.k8s.io/gateway-name": "gw"}},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
        "status": {"loadBalancer": {"ingress": [{"ip": one} for one in addresses]}},
    }
    return in_cluster(put("", "v1", "Service", "gw", body), cluster)


def test_its_addresses_are_those_of_all_clusters() -> None:
    site = Site("east, local", shared_address=False, service_addresses=True)
    site.tell(_balancer("local", "192.0.2.1"))
    assert site.condition("Programmed")[1:] == (
        "AddressNotAssigned",
        "the Service before its proxies in cluster east has no address yet",
    )
    site.tell(_balancer("east", "192.0.2.2"), _balancer("west", "192.0.2.3"))
    assert site.condition("Programmed")[:2] == ("True", "Programmed")
    assert [one["value"] for one in site.status["status"]["addresses"]] == ["192.0.2.2", "192.0.2.1"]


@pytest.mark.parametrize("change", [in_cluster(endpoints("s", "127.0.0.9"), "east"), route("r", "s2", generation=2)])
def test_an_endpoint_and_a_route_rerun_as_many_queries_in_many_clusters(change: Put) -> None:
    work = []
    for number in (2, 20):
        site = Site("*")
        site.tell(*(described(f"c{one}", region="r1") for one in range(number)))
        before = site.engine.graph.work.reruns
        site.tell(change)
        work.append(site.engine.graph.work.reruns - before)
    assert work[0] == work[1]


@pytest.mark.parametrize("text", ["", "a", "a/b/c/d/e@", "a/b/c/d/e@a", "a/b/c/d/e@x/y", "a/b/c/d/e@x@y"])
def test_what_is_no_placement_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        parse_placement(text)


def test_a_placement_is_read_back() -> None:
    for cluster in ("local", "east"):
        one = Placement(_GATEWAY, cluster)
        assert parse_placement(str(one)) == one
