"""Certificate authorities, as ConfigMaps and Secrets hold them."""

from __future__ import annotations

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.certificate import SEALER, unread
from engine.resolve.key_pair import is_bundle
from engine.resolve.manifest import held_fact, is_unread, mapping, object_of, served_object
from engine.resolve.values import Problem
from engine.seal import Sealer, UnsealError


def authority(graph: Reader, ref: Ref, kinds: tuple[str, ...], gateway: Ref | None = None) -> str | Problem:
    """The PEM certificates of an object of one of these kinds, in clear.

    For a `gateway` as it is served them: of what a proxy rejected the last good revision.
    """
    if ref.group or ref.kind not in kinds:
        named = " or a ".join(kinds)
        text = f"caCertificateRefs cannot name {ref.kind} of {ref.group or 'v1'}: use a {named} with ca.crt"
        return Problem("InvalidKind", text)
    object_, told = object_of(graph, ref), f"{ref.kind} {ref.namespace}/{ref.name}"
    if gateway is not None and object_ is not None and graph.fact(held_fact(gateway, ref)):
        object_ = served_object(graph, gateway, ref)
        if object_ == object_of(graph, ref):
            text = f"{told} was rejected by a proxy and has no earlier revision: see penstock status, then replace it"
            return Problem("InvalidCACertificateRef", text)
    text = str(mapping((object_ or {}).get("data")).get("ca.crt") or "")
    if object_ is None and ref.kind == "Secret" and is_unread(graph, ref):
        return unread(ref)
    if not text:
        return Problem("InvalidCACertificateRef", f"{told} {'lacks ca.crt' if object_ else 'does not exist'}")
    sealer = graph.fact(SEALER)
    try:
        if ref.kind == "Secret" and isinstance(sealer, Sealer):
            text = sealer.unseal_text(text).decode(errors="replace")
    except UnsealError:
        return Problem("InvalidCACertificateRef", f"{told} is sealed with another key: its source must write it again")
    if not is_bundle(text):
        return Problem("InvalidCACertificateRef", f"{told} has no PEM certificates in ca.crt")
    return text
