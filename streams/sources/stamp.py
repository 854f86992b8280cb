"""What a source stamps into objects before they enter the log: identity over time, and sealed secrets."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from engine.ref import Ref
from engine.seal import PREFIX, Sealer

Json = Mapping[str, Any]

_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/=]")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_NOISE = {"managedFields", "resourceVersion", "uid", "selfLink"}
_SECRET_FIELDS = {"apiVersion", "kind", "metadata", "type", "immutable"}
_SECRET_METADATA = {"name", "namespace", "labels", "annotations", "creationTimestamp", "generation", "ownerReferences"}
CLUSTER = "penstock.dev/cluster"
"""The annotation by which commands say whose an object is; it is theirs alone."""
STALE_SINCE = "penstock.dev/stale-since"
"""The one by which they say that its cluster cannot be reached, and since when; theirs as well."""
_NOTES = frozenset({CLUSTER, STALE_SINCE})
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def stamped(ref: Ref, new: Json, old: Json | None, now: str, sealer: Sealer) -> dict[str, Any]:
    """The object as it enters the log: namespace, generation, creationTimestamp, secrets sealed.

    generation starts at 1 and grows when anything but metadata changes, as an API server's does; both it and
    creationTimestamp are kept from `old` (the log's), so that they are the same after every restart.
    """
    object_ = {key: value for key, value in new.items() if key != "status" or ref.kind == "Service"}
    if ref.kind == "Secret" and not ref.group:
        object_ = sealed(object_, sealer)
    metadata = _metadata(object_)
    before = dict(old.get("metadata") or {}) if old is not None else {}
    if ref.namespace:
        metadata["namespace"] = ref.namespace
    metadata["creationTimestamp"] = metadata.get("creationTimestamp") or before.get("creationTimestamp") or now
    generation = int(before.get("generation") or 1)
    if old is not None and _content(object_) != _content(old):
        generation += 1
    metadata["generation"] = generation
    object_["metadata"] = metadata
    return object_


def _content(object_: Json) -> dict[str, Any]:
    return {key: value for key, value in object_.items() if key not in {"metadata", "status"}}


def sealed(object_: Json, sealer: Sealer) -> dict[str, Any]:
    """A Secret with its values sealed; `stringData` becomes data, as an API server makes it.

    Nothing else passes but what is known to be no secret: a misspelt field may hold one.
    """
    data = {}
    for key, value in dict(object_.get("data") or {}).items():
        data[key] = value if str(value).startswith(PREFIX) else sealer.seal_text(_decoded(value))
    for key, value in dict(object_.get("stringData") or {}).items():
        data[key] = sealer.seal_text(str(value).encode())
    metadata = {key: value for key, value in dict(object_.get("metadata") or {}).items() if key in _SECRET_METADATA}
    known = {key: value for key, value in object_.items() if key in _SECRET_FIELDS}
    return {**known, "metadata": metadata, "data": data}


def _metadata(object_: Json) -> dict[str, Any]:
    """The metadata without what an API server adds, which would make every export of an object another one."""
    metadata = {key: value for key, value in dict(object_.get("metadata") or {}).items() if key not in _NOISE}
    annotations = metadata.get("annotations")
    # The annotation of kubectl carries the whole object in clear, secrets too.
    if isinstance(annotations, dict) and annotations.keys() & {_LAST_APPLIED, *_NOTES}:
        kept = {key: value for key, value in annotations.items() if key not in {_LAST_APPLIED, *_NOTES}}
        metadata["annotations"] = kept
        if not kept and annotations.keys() & _NOTES:
            del metadata["annotations"]
    return metadata


def misencoded(secret: Json) -> str | None:
    """What is wrong with a Secret's data, by key, without a word of any value; None when it can be decoded."""
    found = ((key, _fault(_joined(value))) for key, value in sorted(dict(secret.get("data") or {}).items()))
    faults = [f"data.{key} is not base64 ({fault})" for key, fault in found if fault]
    if not faults:
        return None
    return f"{'; '.join(faults)}: give it as `base64 -w0 FILE` prints it, or as it is under stringData"


def _fault(text: str) -> str:
    if text.startswith(PREFIX):
        return ""
    if (odd := _NO_BASE64.search(text)) is not None:
        return f"character {odd.start() + 1} is none that base64 has"
    if len(text) % 4:
        return f"its {len(text)} characters are no multiple of 4, as if its end were lost"
    return "" if _BASE64.fullmatch(text) else "an equals sign stands before its end"


def _joined(value: object) -> str:
    return str(value).replace("\n", "").replace("\r", "")


def _decoded(value: object) -> bytes:
    try:
        # Line ends are passed over, as by an API server (Go's encoding/base64), and as `base64` itself writes them.
        return base64.b64decode(_joined(value), validate=True)
    except (binascii.Error, ValueError):
        # Sealed as it is: the engine finds that it is no certificate, and says so without showing it.
        return str(value).encode()
