"""The reference page of what of kgateway's API is served: made from the models, and the words for what is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.models import backend
from engine.models.kgateway import ANNOTATIONS, ANNOTATIONS_SERVED, GROUP, KINDS_NOT_SERVED, NOTHING
from engine.models.kinds import KINDS, Kind
from engine.models.schema import structural
from engine.resolve.parameters import NOT_SERVED

_HEAD: Final = """# kgateway's API

What penstock reads of kgateway 2.4's own API, and what it does not. `penstock check` says the same of your manifests,
object by object: see [migrate from kgateway](../how-to/migrate-from-kgateway.md). The Gateway API's kinds are not here:
what the [conformance suite](../conformance/README.md) asks of them is served.
"""
WHOLE: Final = "served"
_FAILING: Final = "not served: routes to it answer 500 (`BackendNotFound`)"
_REFUSED: Final = "not served: `InvalidParameters` at the Gateway"
_UNSERVED: Final = {
    "Backend": dict.fromkeys(backend.NOT_SERVED, _FAILING),
    "GatewayParameters": {f"kube.{name}": _REFUSED for name in NOT_SERVED},
}


def page() -> str:
    """The page's text."""
    lines = [_HEAD, "## Kinds", "", f"| kind of `{GROUP}` | what becomes of it |", "|---|---|"]
    read = {kind.name: kind for kind in KINDS if kind.group == GROUP}
    lines += [f"| {name} | {_told(read[name])} |" for name in sorted(read)]
    lines += [f"| {kind} (`{group}`) | not read: {text} |" for (group, kind), text in KINDS_NOT_SERVED.items()]
    lines += ["", "## Annotations and TLS options", "", "| annotation | |", "|---|---|"]
    words = {name: f"changes nothing: {text}" for name, text in ANNOTATIONS.items()}
    words |= {name: f"served {text}" for name, text in ANNOTATIONS_SERVED.items()}
    lines += [f"| `{name}` | {text} |" for name, text in sorted(words.items())]
    lines += ["", f"`listeners[].tls.options`: none changes anything, {NOTHING}."]
    for name, kind in sorted(read.items()):
        lines += ["", f"## {name}, field by field", "", "| field | |", "|---|---|"]
        lines += [f"| `spec.{path}` | {state(name, path)} |" for path in _paths(structural(kind.model), "spec")]
    return "\n".join(lines) + "\n"


def _told(kind: Kind) -> str:
    missing = ", ".join(f"`spec.{field}`" for field in _UNSERVED.get(kind.name, {}))
    return f"read, as {' and '.join(kind.versions)}; not served of it: {missing}" if missing else "read"


def state(kind: str, path: str) -> str:
    """`WHOLE`, or why a field (by its path below `spec`) is not served."""
    plain = path.replace("[]", "")
    found = [text for field, text in _UNSERVED.get(kind, {}).items() if plain == field or plain.startswith(f"{field}.")]
    return found[0] if found else WHOLE


def _paths(schema: Mapping[str, Any], field: str) -> Iterator[str]:
    """The fields below a field of an object, each as a path; of a block of Kubernetes' own its name alone."""
    yield from _below(schema["properties"][field], "")


def _below(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        at = f"{path}.{name}" if path else name
        items = inner.get("items")
        yield f"{at}[]" if items else at
        yield from _below(items or inner, f"{at}[]" if items else at)
