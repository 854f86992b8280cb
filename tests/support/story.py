"""An engine under a story of change sets and rejections, as tests of quarantines tell it."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from engine.engine import Engine, EngineSettings
from engine.events import Put, Quarantine
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKind
from tests.support.certificate import pair
from tests.support.manifests import change_set, endpoints, gateway, put, route, service

SEALER = Sealer(bytes(KEY_BYTES))
KGATEWAY = "gateway.kgateway.dev"
_SETTINGS = EngineSettings()
HTTP_AND_TLS = (
    {"name": "http", "port": 8080, "protocol": "HTTP"},
    {"name": "tls", "port": 8443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}},
)


def certificate(generation: int = 1) -> Put:
    chain, key = pair(ec.generate_private_key(ec.SECP256R1()))
    data = {"tls.crt": SEALER.seal_text(chain), "tls.key": SEALER.seal_text(key)}
    return put("", "v1", "Secret", "cert", {"type": "kubernetes.io/tls", "data": data}, generation)


def backend(host: str, generation: int = 1) -> Put:
    spec = {"type": "Static", "static": {"hosts": [{"host": host, "port": 80}]}}
    return put(KGATEWAY, "v1alpha1", "Backend", "b", {"spec": spec}, generation)


class Story:
    """An engine, one change set after the other; after each, a boot from its state gives the same."""

    def __init__(self, *puts: Any, settings: EngineSettings = _SETTINGS) -> None:
        self.settings = settings
        self.engine = Engine(SEALER, settings)
        self.number = -1
        rule = {"backendRefs": [{"group": KGATEWAY, "kind": "Backend", "name": "b"}]}
        self.tell(gateway("gw", *HTTP_AND_TLS), service(), endpoints(), certificate(), backend("first.invalid"))
        self.tell(route("r"), route("to-b", rules=[rule]), *puts)

    def tell(self, *changes: Any) -> None:
        self.number += 1
        assert self.engine.apply(change_set(*changes, number=self.number), self.number).warnings == ()
        loaded = Engine(SEALER, self.settings)
        loaded.load(self.engine.state().items())
        assert loaded.everything() == self.engine.everything()

    def one(self, kind: FragmentKind, within: str = "") -> Fragment | None:
        found = self.engine.everything().fragments.set.values()
        return next((one for one in found if one.key.kind is kind and within in one.key.name), None)

    def versions(self) -> dict[str, str]:
        return {key: one.version for key, one in self.engine.everything().fragments.set.items()}

    def reject(
        self,
        kind: FragmentKind,
        within: str = "",
        envoy: str = "1.40.0",
        words: str = "no such thing",
        objects: tuple[tuple[Ref, int], ...] = (),
    ) -> Quarantine:
        one = self.one(kind, within)
        assert one is not None
        quarantine = Quarantine(one.key.gateway, str(one.key), one.version, objects or one.provenance, words, envoy)
        self.tell(quarantine)
        return quarantine

    def quarantines(self) -> dict[str, str]:
        rows = self.engine.state().items()
        return {key.rpartition("/")[2]: row["envoy"] for key, row in rows if key.startswith("quarantine/")}

    def says(self, of: Put) -> str:
        return str(self.engine.everything().statuses.set[str(of.ref)]["status"])
