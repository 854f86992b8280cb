"""What a credential puts out: an SDS secret, sealed."""

from __future__ import annotations

from engine.envoy.names import credential_name
from engine.envoy.secret import text
from engine.graph.reader import Outputs, Reader
from engine.outputs.backend import generation
from engine.outputs.emission import Target, emission
from engine.resolve.certificate import SEALER
from engine.resolve.credential import Credential, credential
from engine.seal import Sealer
from engine.update import FragmentKey, FragmentKind


def credential_outputs(graph: Reader, key: Credential) -> Outputs:
    """A text that proxies are given; none while there is none, which then is told where it is asked for."""
    value, sealer = credential(graph, key), graph.fact(SEALER)
    if not isinstance(value, bytes) or not isinstance(sealer, Sealer):
        return Outputs()
    name = credential_name(key.of)
    at = FragmentKey(key.gateway, FragmentKind.SECRET, name)
    provenance = ((key.of, graph.get(generation, key.of)),)
    return Outputs(*emission(Target(at, key, provenance), text(name, value), sealer))
