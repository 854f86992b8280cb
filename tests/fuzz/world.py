"""A world with a place for each random manifest: a route, a Service or a Gateway of its own, so that each is in force."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.events import Put
from engine.models.admission import Refusal, admit
from engine.models.crd import crds
from engine.models.policy import GROUP
from engine.seal import Sealer
from tests.fuzz.drawing import WORDS, Drawing
from tests.support.manifests import API, endpoints, gateway, put, route, service

VERSION: Final = "v1alpha1"
GATEWAYS: Final = ("gw", "gw1", "gw2")
_PORTS: Final = (18080, 18081)
_TRIES: Final = 1_000

_SHARES: Final = {
    "TrafficPolicy": 50,
    "BackendConfigPolicy": 15,
    "Backend": 12,
    "DirectResponse": 5,
    "GatewayExtension": 8,
    "ListenerPolicy": 4,
    "HTTPListenerPolicy": 3,
    "GatewayParameters": 3,
}
"""Of a hundred manifests so many are of each kind; a kind of kgateway's that is not here is a mistake."""


def specs() -> dict[str, Mapping[str, Any]]:
    """The schemas of the specs of kgateway's kinds, by kind."""
    found = {}
    for crd in crds().values():
        if crd["spec"]["group"] == GROUP:
            (version,) = [one for one in crd["spec"]["versions"] if one["name"] == VERSION]
            found[crd["spec"]["names"]["kind"]] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def standing(places: int, sealer: Sealer) -> list[Put]:
    """All but the manifests that are drawn."""
    found = [
        gateway(name, *({"name": f"http{port}", "port": port + number * 10, "protocol": "HTTP"} for port in _PORTS))
        for number, name in enumerate(GATEWAYS)
    ]
    for name in ("s0", "s1", "s2"):
        found += [service(name), endpoints(name)]
    secret = {"token": b"secret", "x-key": b"k", "ann": b"key-of-ann", ".htpasswd": b"ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "accessKey": b"A", "secretKey": b"B"}
    data = {name: sealer.seal_text(value) for name, value in secret.items()}
    found.append(put("", "v1", "Secret", "keys", {"type": "Opaque", "data": data}))
    asked = {"grpcService": {"backendRef": {"name": "s0", "port": 80}}}
    keys = {"local": {"inline": WORDS["inline"][0]}}
    extensions = {
        "auth": {"extAuth": asked},
        "processor": {"extProc": asked},
        "limiter": {"rateLimit": {**asked, "domain": "shop"}},
        "tokens": {"jwt": {"providers": [{"name": "one", "jwks": keys}]}},
    }
    found += [put(GROUP, VERSION, "GatewayExtension", name, {"spec": spec}) for name, spec in extensions.items()]
    for number in range(places):
        found += [service(f"b{number}"), endpoints(f"b{number}")]
        found += [
            _route(f"r{number}", {"name": "s0", "port": 80}),
            _route(f"b{number}", {"name": f"b{number}", "port": 80}),
        ]
        found.append(_route(f"x{number}", {"group": GROUP, "kind": "Backend", "name": f"x{number}"}))
        answer = {
            "type": "ExtensionRef",
            "extensionRef": {"group": GROUP, "kind": "DirectResponse", "name": f"d{number}"},
        }
        found.append(_route(f"d{number}", None, filters=[answer]))
    return found


def _route(name: str, backend: Mapping[str, Any] | None, **rule: Any) -> Put:
    matches = [{"path": {"type": "PathPrefix", "value": "/"}}]
    refs = {"backendRefs": [dict(backend)]} if backend else {}
    rules = [{"name": "one", "matches": matches, **refs, **rule}]
    return route(name, hostnames=[f"{name}.example.com"], rules=rules)


def kinds(places: int) -> Iterator[tuple[str, int]]:
    """Which kind is drawn for each place."""
    unknown = specs().keys() ^ _SHARES.keys()
    assert not unknown - _UNSERVED, f"say in {__name__} how often {sorted(unknown)} are drawn"
    names = [kind for kind, share in _SHARES.items() if kind in specs() for _ in range(share)]
    for number in range(places):
        yield names[(number * 7) % len(names)], number


_UNSERVED: Final = frozenset({"DirectResponse"})


class Author:
    """Writes manifests that their models take."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self._drawing = Drawing(self.chance)
        self._specs = specs()
        self.drawn = 0
        """How many specs were drawn, those that broke a rule too, which no schema can draw by."""

    def write(self, kind: str, number: int, generation: int) -> list[Put]:
        """One manifest, and what puts it in force."""
        for _ in range(_TRIES):
            self.drawn += 1
            made = self._one(kind, number, generation)
            judged = admit(made.ref, made.object)
            if isinstance(judged, Refusal):
                judged = self._without(made, judged)
            if not isinstance(judged, Refusal):
                return [Put(made.ref, judged.object), *_using(kind, number, generation, judged.object["spec"])]
        msg = f"no {kind} in {_TRIES} that its rules take; the last: {judged.message}"
        raise LookupError(msg)

    def _one(self, kind: str, number: int, generation: int) -> Put:
        spec = self._drawing.value(self._specs[kind])
        self._aim(kind, number, spec)
        return put(GROUP, VERSION, kind, NAMES.get(kind, "p{}").format(number), {"spec": spec}, generation)

    def _without(self, made: Put, refused: Refusal) -> Any:
        """Judged without the fields of the spec that break a rule."""
        spec = dict(made.object["spec"])
        for one in refused.problems:
            spec.pop(one.path.removeprefix("spec.").partition(".")[0].partition("[")[0], None)
        made.object["spec"] = spec
        return admit(made.ref, made.object)

    def _aim(self, kind: str, number: int, spec: dict[str, Any]) -> None:
        spec.pop("targetSelectors", None)
        if kind == "TrafficPolicy":
            whole = {"group": API, "kind": "HTTPRoute", "name": f"r{number}"}
            spec["targetRefs"] = [self.chance.choice((whole, whole, whole, {**whole, "sectionName": "one"}))]
            if not spec.keys() & {"autoHostRewrite", "urlRewrite", "statPrefix"} and self.chance.random() < 0.1:
                section = self.chance.choice(({}, {"sectionName": f"http{_PORTS[0]}"}))
                spec["targetRefs"] = [{"group": API, "kind": "Gateway", "name": "gw", **section}]
        elif kind == "BackendConfigPolicy":
            spec["targetRefs"] = [{"group": "", "kind": "Service", "name": f"b{number}"}]
        elif kind in ("ListenerPolicy", "HTTPListenerPolicy"):
            spec["targetRefs"] = [{"group": API, "kind": "Gateway", "name": GATEWAYS[1 + number % 2]}]


NAMES: Final = {"Backend": "x{}", "DirectResponse": "d{}", "GatewayExtension": "e{}"}
"""How a manifest is called that others name."""
_BLOCKS: Final = {
    "extAuth": "extAuth",
    "extProc": "extProc",
    "jwt": "jwtAuth",
    "oauth2": "oauth2",
    "rateLimit": "rateLimit",
}


def _using(kind: str, number: int, generation: int, spec: Mapping[str, Any]) -> list[Put]:
    if kind != "GatewayExtension":
        return []
    reference = {"extensionRef": {"name": f"e{number}"}}
    (section,) = spec.keys() & _BLOCKS.keys()
    block = reference
    if section == "rateLimit":
        block = {"global": {**reference, "descriptors": [{"entries": [{"type": "RemoteAddress"}]}]}}
    target = {"group": API, "kind": "HTTPRoute", "name": f"r{number}"}
    using = {"targetRefs": [target], _BLOCKS[section]: block}
    return [put(GROUP, VERSION, "TrafficPolicy", f"e{number}", {"spec": using}, generation)]
