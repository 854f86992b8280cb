"""A text of a Secret that an object names: read, unsealed in memory, and fit to be a header's value."""

from __future__ import annotations

import re
from typing import Final

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.certificate import SEALER, unread
from engine.resolve.grant import reference_problem
from engine.resolve.manifest import held_fact, is_unread, mapping, object_of, served_object
from engine.resolve.values import Problem
from engine.seal import Sealer, UnsealError

_VISIBLE: Final = re.compile(r"[!-~]+([\t ]*[!-~]+)*")


def secret_of(source: Ref, item: Json) -> Ref:
    """The Secret that a reference names, from the namespace of `source`."""
    return Ref(source.cluster, "", "Secret", str(item.get("namespace") or source.namespace), str(item.get("name", "")))


def secret_header(graph: Reader, gateway: Ref, source: Ref, item: Json, key: str) -> str | Problem:
    """A value of a Secret as a header's, as a Gateway is served it; a line end behind it is no part of it.

    Envoy would format it: percent signs are doubled, so that it stays what it is.
    """
    ref = secret_of(source, item)
    denied = reference_problem(graph, source.kind, source, ref)
    if denied is not None:
        return denied
    object_ = object_of(graph, ref)
    if object_ is None:
        return unread(ref) if is_unread(graph, ref) else _bad(ref, "does not exist")
    if graph.fact(held_fact(gateway, ref)):
        object_ = served_object(graph, gateway, ref)
    text = mapping(mapping(object_).get("data")).get(key)
    sealer = graph.fact(SEALER)
    if not isinstance(text, str) or not isinstance(sealer, Sealer):
        return _bad(ref, f"has no {key}")
    try:
        value = sealer.unseal_text(text).decode("ascii", errors="replace").rstrip("\r\n")
    except UnsealError:
        return _bad(ref, "is sealed with another key: its source must write it again")
    if not _VISIBLE.fullmatch(value):
        return _bad(ref, f"has no header value in {key}: it must be visible ASCII characters on one line")
    return value.replace("%", "%%")


def _bad(ref: Ref, what: str) -> Problem:
    return Problem("Invalid", f"Secret {ref.namespace}/{ref.name} {what}")
