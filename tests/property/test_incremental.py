"""The property that carries all else: what is kept up to date equals what is built anew."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine, EngineSettings
from engine.events import Change, Delete, Put
from engine.graph.graph import Graph
from engine.graph.reader import Outputs, Reader
from engine.ref import Ref
from engine.resolve.indexes import INDEXES
from engine.seal import KEY_BYTES, Sealer
from engine.update import Update
from tests.property.ages import AGES
from tests.property.answers import answers, other_rules
from tests.property.api_keys import api_keys
from tests.property.backends import KGATEWAY, backends, keys
from tests.property.configs import configs
from tests.property.delegating import delegating, namespaced
from tests.property.extensions import KEYS, extensions, issuers
from tests.property.listener_policies import listener_policies
from tests.property.traffic_policies import LABELS, PRIORITIES, traffic_policies
from tests.support.certificate import pair
from tests.support.manifests import API, change_set, delete, endpoints, gateway, put, route, service

_SEALER = Sealer(bytes(KEY_BYTES))
_CERTIFICATE, _KEY = pair(ec.generate_private_key(ec.SECP256R1()))
_PAIR = {"tls.crt": _SEALER.seal_text(_CERTIFICATE), "tls.key": _SEALER.seal_text(_KEY)}
_HOSTS = (["a.example.com"], ["*.example.com"], [], ["b.example.com", "a.example.com"])
_LISTENERS: tuple[dict[str, Any], ...] = (
    {"name": "http", "port": 8080, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}},
    {"name": "wild", "port": 8080, "protocol": "HTTP", "hostname": "*.example.com"},
    {"name": "other", "port": 8081, "protocol": "HTTP", "hostname": "a.example.com"},
    {"name": "tls", "port": 8443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}},
    {"name": "tcp", "port": 8082, "protocol": "TCP"},
    {"name": "udp", "port": 8082, "protocol": "UDP"},
    {"name": "clash", "port": 8081, "protocol": "TCP"},
    {"name": "pass", "port": 8443, "protocol": "TLS", "hostname": "*.example.com", "tls": {"mode": "Passthrough"}},
    {"name": "end", "port": 8444, "protocol": "TLS", "tls": {"certificateRefs": [{"name": "cert"}]}},
)


def _with(base: Put, metadata: dict[str, Any]) -> Put:
    return Put(base.ref, {**base.object, "metadata": {**base.object["metadata"], **metadata}})


_OFTEN = (
    "gateway", "route", "service", "endpoints", "grant", "namespace", "secret", "broken", "gateway", "route", "GRPCRoute",
    "TCPRoute", "UDPRoute", "TLSRoute", "ListenerSet", "BackendTLSPolicy", "ConfigMap", "GatewayParameters",
    "GatewayClass", "TrafficPolicy", "TrafficPolicy", "delegation", "delegation", "BackendConfigPolicy",
    "GatewayExtension",
    "DirectResponse", "Backend", "Backend", "keys", "api keys", "api keys", "issuer",
)  # fmt: skip
_PARENTS = ({"name": "gw1"}, {"kind": "ListenerSet", "name": "set0"}, {"kind": "ListenerSet", "name": "set1"})


@st.composite
def _grpc(draw: Any, number: int, generation: int) -> Put:
    rule = {
        "matches": draw(st.sampled_from([[], [{"method": {"service": "s"}}], [{"method": {"method": "m"}}]])),
        "backendRefs": [{"name": f"s{draw(st.integers(0, 2))}", "port": 80}],
    }
    body = {
        "metadata": {"creationTimestamp": draw(st.sampled_from(AGES))},
        "spec": {"parentRefs": [{"name": "gw"}], "hostnames": draw(st.sampled_from(_HOSTS)), "rules": [rule]},
    }
    return put(API, "v1", "GRPCRoute", f"r{number}", body, generation)


@st.composite
def _http(draw: Any, number: int, generation: int) -> Put:
    made = route(
        f"r{number}",
        f"s{draw(st.integers(0, 2))}",
        draw(st.sampled_from(["/", "/a", "/a/b"])),
        generation,
        hostnames=draw(st.sampled_from(_HOSTS)),
        parentRefs=draw(st.sampled_from([[{"name": "gw", "namespace": "default"}], *([one] for one in _PARENTS)])),
    )
    made = _with(made, draw(st.sampled_from(LABELS)))
    more = draw(other_rules(made.object["spec"]["rules"][0]))
    made = Put(made.ref, {**made.object, "spec": {**made.object["spec"], **more}})
    return namespaced(made, draw(st.sampled_from(["default", "other"])))


@st.composite
def _sets(draw: Any, number: int, generation: int) -> Put:
    chosen = draw(st.lists(st.sampled_from(_LISTENERS), min_size=1, max_size=2, unique_by=lambda one: one["name"]))
    body = {
        "metadata": {"creationTimestamp": draw(st.sampled_from(AGES))},
        "spec": {"parentRef": {"name": draw(st.sampled_from(["gw", "gw1"]))}, "listeners": chosen},
    }
    return put(API, "v1", "ListenerSet", f"set{number % 2}", body, generation)


@st.composite
def _policies(draw: Any, number: int, generation: int) -> Put:
    of = draw(st.sampled_from([("", "Service", "s"), (KGATEWAY, "Backend", "b")]))
    target = {"group": of[0], "kind": of[1], "name": f"{of[2]}{draw(st.integers(0, 2))}"}
    section = draw(st.sampled_from([{}, {"sectionName": "http"}, {"sectionName": "other"}]))
    trusts = draw(
        st.sampled_from(
            [
                {"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": f"ca{number % 2}"}]},
                {"caCertificateRefs": [{"group": "", "kind": "Secret", "name": "cert"}]},
                {"wellKnownCACertificates": "System"},
            ]
        )
    )
    body = {
        "metadata": {"creationTimestamp": draw(st.sampled_from(AGES))},
        "spec": {"targetRefs": [{**target, **section}], "validation": {"hostname": "a.example.com", **trusts}},
    }
    return put(API, "v1", "BackendTLSPolicy", f"p{number}", body, generation)


@st.composite
def _authorities(draw: Any, number: int, generation: int) -> Put:
    text = draw(st.sampled_from([_CERTIFICATE.decode(), "nonsense"]))
    data = {"ca.crt": text} | draw(st.sampled_from([{}, {"jwks": KEYS}, {"jwks": "nonsense"}]))
    return put("", "v1", "ConfigMap", f"ca{number % 2}", {"data": data}, generation)


@st.composite
def _parameters(draw: Any, number: int, generation: int) -> Put:
    specs = [
        {"kube": {"deployment": {"replicas": 2}}},
        {"kube": {"service": {"type": "ExternalName"}}},
        {"kube": {"istio": {}}},
        {"selfManaged": {}},
    ]
    spec = draw(st.sampled_from(specs))
    return put("gateway.kgateway.dev", "v1alpha1", "GatewayParameters", f"gwp{number % 2}", {"spec": spec}, generation)


@st.composite
def _classes(draw: Any, number: int, generation: int) -> Put:
    named = {"group": "gateway.kgateway.dev", "kind": "GatewayParameters", "namespace": "default", "name": f"gwp{number % 2}"}
    refs = draw(st.sampled_from([{}, {"parametersRef": named}]))
    controller = draw(st.sampled_from([*["penstock.dev/gateway-controller"] * 3, "example.com/other"]))
    return put(API, "v1", "GatewayClass", "penstock", {"spec": {"controllerName": controller, **refs}}, generation)


_INFRASTRUCTURES = [
    {},
    *(
        {"infrastructure": {"parametersRef": {"group": group, "kind": kind, "name": "gwp0"}}}
        for group, kind in (("gateway.kgateway.dev", "GatewayParameters"), ("", "ConfigMap"))
    ),
]


def _streams(kind: str) -> Any:
    @st.composite
    def made(draw: Any, number: int, generation: int) -> Put:
        names = draw(st.lists(st.integers(0, 2), min_size=1, max_size=2))
        refs = [{"name": f"s{name}", "port": 80, "weight": draw(st.integers(0, 2))} for name in names]
        parent = draw(st.sampled_from([{"name": "gw"}, {"name": "gw", "sectionName": "tcp"}, *_PARENTS]))
        spec = {"parentRefs": [parent], "rules": [{"backendRefs": refs}]}
        if kind == "TLSRoute":
            spec["hostnames"] = draw(st.sampled_from([one for one in _HOSTS if one]))
        body = {"metadata": {"creationTimestamp": draw(st.sampled_from(AGES))}, "spec": spec}
        return put(API, "v1", kind, f"r{number}", body, generation)

    return made


_ROUTES = {
    "route": _http,
    "delegation": delegating,
    "GRPCRoute": _grpc,
    "TCPRoute": _streams("TCPRoute"),
    "UDPRoute": _streams("UDPRoute"),
    "TLSRoute": _streams("TLSRoute"),
    "ListenerSet": _sets,
    "BackendTLSPolicy": _policies,
    "BackendConfigPolicy": configs,
    "ConfigMap": _authorities,
    "GatewayParameters": _parameters,
    "GatewayClass": _classes,
    "TrafficPolicy": traffic_policies,
    "GatewayExtension": extensions,
    "ListenerPolicy": listener_policies,
    "DirectResponse": answers,
    "Backend": backends,
    "issuer": issuers,
    "api keys": api_keys(_SEALER.seal_text),
    "keys": lambda _, generation: st.just(keys(_SEALER.seal_text, generation)),
}


@st.composite
def _puts(draw: Any) -> Put:
    generation = draw(st.integers(1, 3))
    kind = draw(st.sampled_from(_OFTEN))
    number = draw(st.integers(0, 2))
    if kind == "gateway":
        chosen = draw(st.lists(st.sampled_from(_LISTENERS), min_size=1, max_size=4, unique_by=lambda one: one["name"]))
        made = gateway(f"gw{number or ''}", *chosen, generation=generation)
        lets_in = draw(st.sampled_from([{}, {"allowedListeners": {"namespaces": {"from": "Same"}}}]))
        how = draw(st.sampled_from(_INFRASTRUCTURES))
        made = _with(made, draw(st.sampled_from(LABELS)) | draw(st.sampled_from(PRIORITIES)))
        return Put(made.ref, {**made.object, "spec": {**made.object["spec"], **lets_in, **how}})
    if kind in _ROUTES:
        return draw(_ROUTES[kind](number, generation))
    if kind == "service":
        port = draw(st.sampled_from([{}, {"appProtocol": "kubernetes.io/h2c"}, {"protocol": "UDP"}]))
        made = service(f"s{number}", generation, **port)
        labels = draw(st.sampled_from([{}, {"labels": {"a": "b"}}]))
        return Put(made.ref, {**made.object, "metadata": {**made.object["metadata"], **labels}})
    if kind == "endpoints":
        return endpoints(f"s{number}", *draw(st.lists(st.sampled_from(["127.0.0.1", "127.0.0.2"]), max_size=2)))
    if kind == "grant":
        body = {
            "spec": {
                "from": [{"group": API, "kind": "HTTPRoute", "namespace": "other"}],
                "to": [{"group": "", "kind": "Service"}],
            }
        }
        return put(API, "v1", "ReferenceGrant", f"grant{number}", body, generation)
    if kind == "namespace":
        return put("", "v1", "Namespace", "other", {"metadata": {"labels": {"x": str(number)}}}, generation)
    if kind == "secret":
        client = {"client-secret": _PAIR["tls.key"]}
        data = draw(st.sampled_from([_PAIR, _PAIR | client, {"tls.crt": _PAIR["tls.crt"], "tls.key": "sealed:v1:broken"}]))
        return put("", "v1", "Secret", "cert", {"type": "kubernetes.io/tls", "data": data}, generation)
    return put(API, "v1", "HTTPRoute", f"r{number}", {"spec": {"parentRefs": [{"name": "gw"}], "x": 1}}, generation)


def _broken(base: Put) -> Put:
    """A next revision, which its model refuses."""
    metadata = {**base.object["metadata"], "generation": base.object["metadata"]["generation"] + 1}
    return Put(base.ref, {**base.object, "metadata": metadata, "spec": {"nonsense": True}})


_FATES = ("stays", "stays", "goes", "breaks", "answers")
_CHANGES = st.lists(
    st.tuples(_puts(), st.sampled_from(_FATES)).map(
        lambda one: {
            "goes": [delete(one[0])],
            "breaks": [one[0], _broken(one[0])],
            # Of a source that reads Secrets on request: asked for, and not there.
            "answers": [Delete(one[0].ref, was_read=one[0].ref.kind == "Secret")],
        }.get(one[1], [one[0]])
    ),
    max_size=25,
).map(lambda many: [change for few in many for change in few])
_BATCHES = st.lists(st.integers(1, 5), min_size=1, max_size=10)
_SOURCES = st.sampled_from(["files", "kubernetes"])
_SETTINGS = EngineSettings()
_MERGES = st.sampled_from([_SETTINGS, EngineSettings(deep_merges=("acl", "extAuth", "extProc", "transformation"))])


def _apply(changes: list[Change], batches: list[int], source: str = "files", told: EngineSettings = _SETTINGS) -> Engine:
    engine = Engine(_SEALER, told)
    at = number = 0
    while at < len(changes):
        size = batches[number % len(batches)]
        engine.apply(change_set(*changes[at : at + size], number=number, source=source), number)
        at, number = at + size, number + 1
    return engine


def _picture(update: Update) -> dict[str, Any]:
    statuses = {key: {**value, "programmed": sorted(value["programmed"])} for key, value in update.statuses.set.items()}
    fragments = {key: (one.payload, one.version, one.parent, one.order) for key, one in update.fragments.set.items()}
    return {"fragments": fragments, "statuses": statuses, "nodes": update.nodes.set, "infra": update.infra.set}


def histories(changes: list[Change]) -> dict[Ref, list[Put]]:
    """Of each object that is there all its revisions since it came: of one that is refused an earlier one counts."""
    found: dict[Ref, list[Put]] = {}
    for change in changes:
        if isinstance(change, Delete):
            found.pop(change.ref, None)
        elif isinstance(change, Put):
            found.setdefault(change.ref, []).append(change)
    return found


def answers(changes: list[Change]) -> list[Delete]:
    """What was asked for and is not there, and did not come since."""
    found: dict[Ref, Delete] = {}
    for change in changes:
        if isinstance(change, Delete) and change.was_read:
            found[change.ref] = change
        elif isinstance(change, Put | Delete):
            found.pop(change.ref, None)
    return list(found.values())


@settings(max_examples=150)
@given(_CHANGES, _BATCHES, _SOURCES, _MERGES)
def test_incremental_equals_from_scratch(changes: list[Change], batches: list[int], source: str, told: EngineSettings) -> None:
    """Any events in any batching, then: the engine == one built from its state == one fed with what is left."""
    engine = _apply(changes, batches, source, told)
    wanted = _picture(engine.everything())
    loaded = Engine(_SEALER, told)
    loaded.load(engine.state().items())
    assert _picture(loaded.everything()) == wanted
    scratch = Engine(_SEALER, told)
    left = [one for history in histories(changes).values() for one in history]
    scratch.apply(change_set(*left, *answers(changes), source=source if changes else "files"), 0)
    assert _picture(scratch.everything()) == wanted


@settings(max_examples=60)
@given(_CHANGES)
def test_updates_add_up(changes: list[Change]) -> None:
    """What the updates set and removed, one after the other, is all that is wanted at the end."""
    engine = Engine(_SEALER)
    channels = ("fragments", "nodes", "statuses", "infra", "state")
    seen: dict[str, dict[str, Any]] = {one: {} for one in channels}
    for number, change in enumerate(changes):
        update = engine.apply(change_set(change, number=number), number)
        for channel, into in seen.items():
            delta = getattr(update, channel)
            assert not delta.removed & delta.set.keys()
            into.update(delta.set)
            for key in delta.removed:
                into.pop(key, None)
    wanted = engine.everything()
    assert seen == {one: getattr(wanted, one).set for one in channels}
    assert wanted.state.set == engine.state()


@settings(max_examples=40)
@given(_CHANGES, st.lists(_puts(), min_size=1, max_size=4))
def test_put_then_delete_is_nothing(changes: list[Change], more: list[Put]) -> None:
    """Objects that come and go leave no trace in what is served."""
    before = {change.ref for change in changes if isinstance(change, Put | Delete)}
    fresh = [one for one in more if one.ref not in before]
    engine = _apply(changes, [3])
    wanted = _picture(engine.everything())
    engine.apply(change_set(*fresh, number=998), 998)
    engine.apply(change_set(*[delete(one) for one in fresh], number=999), 999)
    assert _picture(engine.everything()) == wanted


_DIGEST = """
from tests.property.test_incremental import fixed_digest
print(fixed_digest())
"""


def fixed_digest() -> str:
    """A digest of what a fixed history gives, for comparing processes."""
    changes: list[Change] = [gateway("gw", *_LISTENERS)]
    for number in range(30):
        changes += [
            route(f"r{number}", f"s{number % 5}", f"/{number}", hostnames=list(_HOSTS[number % 4])),
            service(f"s{number % 5}"),
            endpoints(f"s{number % 5}", "127.0.0.2", "127.0.0.1"),
        ]
    picture = _picture(_apply(changes, [4]).everything())
    return hashlib.blake2b(repr(sorted(picture["fragments"].items())).encode()).hexdigest()


def test_hash_seeds_change_nothing() -> None:
    """Equal bytes whatever PYTHONHASHSEED is."""
    digests = set()
    for seed in ("0", "1", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", _DIGEST],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1


_HIDDEN = {"value": 0}


def _planted(graph: Reader, ref: Ref) -> Outputs:  # noqa: ARG001
    return Outputs((("fragment", str(ref), _HIDDEN["value"]),))


def test_a_read_behind_the_graphs_back_is_found() -> None:
    """The comparison with an evaluator without memory sees a query that reads what is not recorded."""
    ref = Ref("c", "", "X", "n", "x")
    graph = Graph(INDEXES)
    graph.want(_planted, ref)
    kept = graph.settle()[0][2]
    _HIDDEN["value"] = 1
    assert not graph.settle()
    with pytest.raises(AssertionError):
        assert kept == _planted(graph, ref)
