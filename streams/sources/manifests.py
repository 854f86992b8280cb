"""Reads a directory of manifests into objects and refusals; it watches nothing and appends nothing.

One bad document costs that document only: its file and line are named, and what it said before stays.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from engine.models.admission import Refusal, admit
from engine.models.kinds import NAMESPACED, is_known
from engine.ref import Ref

_SUFFIXES = {".yaml", ".yml", ".json"}
_FILE_BYTES = 64 << 20
_DEPTH = 64
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """YAML as Kubernetes reads it: timestamps stay text, aliases cannot multiply without end."""

    aliases = 0


def _no_timestamps() -> None:
    _Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in _Base.yaml_implicit_resolvers.items()
    }


_no_timestamps()


@dataclass(frozen=True, slots=True)
class Found:
    """An object and where it stands ("path:line")."""

    object: Mapping[str, Any]
    location: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A document, or a whole file when `whole`, that could not be taken. `ref` where it could be identified."""

    location: str
    message: str
    ref: Ref | None = None
    whole: bool = False


@dataclass(slots=True)
class Reading:
    """What a directory says. `broken` are files whose earlier objects stay."""

    objects: dict[Ref, Found] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)

    def refuse(self, refusal: Refused) -> None:
        """Note a refusal; the first of a location counts."""
        self.refused.setdefault(refusal.location, refusal)


class MissingDirectory(ValueError):  # noqa: N818
    """The directory is not there or is none."""


def read_directory(root: Path, cluster: str) -> Reading:
    """All manifests below `root`, in the order of their paths; names beginning with a dot are ignored.

    Raises MissingDirectory.
    """
    if not root.is_dir():
        msg = f"{root} is not a directory: name the directory that holds your manifests"
        raise MissingDirectory(msg)
    reading = Reading()
    for path in _files(root):
        _read_file(path, str(path.relative_to(root)), cluster, reading)
    return reading


def _files(root: Path) -> list[Path]:
    found = []
    for path in root.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if not hidden and path.suffix.lower() in _SUFFIXES and path.is_file():
            found.append(path)
    return sorted(found, key=str)


def _read_file(path: Path, name: str, cluster: str, reading: Reading) -> None:
    try:
        if path.stat().st_size > _FILE_BYTES:
            msg = f"is larger than {_FILE_BYTES >> 20} MiB: split it"
            raise ValueError(msg)
        documents = list(_documents(path.read_text(encoding="utf-8")))
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark.line + 1) if error.problem_mark is not None else 1
        reading.broken.add(name)
        reading.refuse(Refused(f"{name}:{line}", f"not YAML: {error.problem or error.context}", whole=True))
        return
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        reading.broken.add(name)
        reading.refuse(Refused(f"{name}:1", f"cannot be read: {error or type(error).__name__}", whole=True))
        return
    for line, document in documents:
        for item in _items(document):
            _take(item, f"{name}:{line}", cluster, reading)


def _documents(text: str) -> Iterator[tuple[int, Any]]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            _check_depth(node)
            yield node.start_mark.line + 1, loader.construct_document(node)
    finally:
        loader.dispose()


def _check_depth(root: yaml.Node) -> None:
    """Deep nesting and aliases that multiply: a few hundred bytes could otherwise fill the memory."""
    budget = 5_000_000
    stack = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        budget -= 1
        if depth > _DEPTH or budget < 0:
            mark = node.start_mark
            raise yaml.MarkedYAMLError(problem="nested too deeply or too many aliases", problem_mark=mark)
        if isinstance(node, yaml.MappingNode):
            stack += [(child, depth + 1) for pair in node.value for child in pair]
        elif isinstance(node, yaml.SequenceNode):
            stack += [(child, depth + 1) for child in node.value]


def _items(document: Any) -> Iterator[Any]:
    if document is None:
        return
    if isinstance(document, dict) and document.get("kind") == "List" and isinstance(document.get("items"), list):
        yield from document["items"]
        return
    yield document


def _take(document: Any, location: str, cluster: str, reading: Reading) -> None:
    ref = identify(document, cluster)
    if isinstance(ref, str):
        reading.refuse(Refused(location, ref))
        return
    if not is_known(ref.group, ref.kind):
        reading.warnings.append(f"{location}: {ref.kind} of {ref.group or 'v1'} is not a kind that penstock reads")
        return
    first = reading.objects.get(ref)
    if first is not None:
        message = f"{ref.kind} {ref.namespace}/{ref.name} stands in {first.location} already, which counts: remove one"
        reading.refuse(Refused(location, message, ref))
        return
    admitted = admit(ref, _plain(document))
    if isinstance(admitted, Refusal):
        reading.refuse(Refused(location, admitted.message, ref))
        return
    reading.objects[ref] = Found(admitted.object, location)


def identify(document: Any, cluster: str) -> Ref | str:
    """The ref of a document, or what is wrong with it."""
    if not isinstance(document, dict):
        return "a document must be an object with apiVersion, kind and metadata"
    version, kind, metadata = document.get("apiVersion"), document.get("kind"), document.get("metadata")
    if not isinstance(version, str) or not isinstance(kind, str) or not version or not kind:
        return "apiVersion and kind must be given"
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        return f"{kind}: metadata.name must be given"
    group = version.rpartition("/")[0]
    namespace = metadata.get("namespace", "default")
    if not isinstance(namespace, str) or not namespace:
        return f"{kind} {metadata['name']}: metadata.namespace must be text"
    if "/" in group + kind + namespace + metadata["name"]:
        return f"{kind} {metadata['name']}: a name cannot contain a slash"
    namespaced = NAMESPACED.get((group, kind), True)
    return Ref(cluster, group, kind, namespace if namespaced else "", metadata["name"])


def _plain(value: Any) -> Any:
    """JSON's types only: YAML has dates, bytes and keys that are no text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime.date | bytes):
        return str(value)
    return value
