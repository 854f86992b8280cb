"""Reads manifests into objects and refusals: one file, or a whole directory once; it watches and appends nothing.

One bad document costs that document only: its file and line are named, and what it said before stays.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.document import Document
from engine.models.admission import Refusal, admit
from engine.models.canonical import NotJson, canonical
from engine.models.kgateway import is_kgateways, not_served
from engine.models.kinds import BY_NAME, NAMESPACED, is_known
from engine.ref import Ref
from streams.data_directory import inside
from streams.sources.content import NoFile, NoText, text_of
from streams.sources.documents import Unreadable, check_size, json_documents, plain, yaml_chunks, yaml_documents
from streams.sources.stamp import misencoded

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_NAME_CHARACTERS = 253
_NAMESPACE_CHARACTERS = 63
_NEAR = 0.75
_NAMING = ("name", "namespace", "creationTimestamp")
_SAID = ("apiVersion", "kind", "spec")


@dataclass(frozen=True, slots=True)
class Found:
    """An object and where it stands: a file's path below the root, and a line."""

    object: Document
    name: str
    line: int

    @property
    def location(self) -> str:
        """What a person opens."""
        return f"{self.name}:{self.line}"


@dataclass(frozen=True, slots=True)
class Refused:
    """A document, or a whole file, that could not be taken. `ref` where it could be identified.

    `written` is what one says that guards something: where the log has no good revision of it, that has to be closed.
    """

    name: str
    line: int
    message: str
    ref: Ref | None = None
    written: Document | None = None

    @property
    def location(self) -> str:
        """What a person opens; line 0 is the whole of it."""
        return f"{self.name}:{self.line}" if self.line else self.name


@dataclass(frozen=True, slots=True)
class Unread:
    """A document of a kind that is not read."""

    name: str
    line: int
    message: str
    ref: Ref
    missed: bool = False
    """Whether kgateway serves it: who wrote it counts on what it says."""

    def may_be(self, ref: Ref) -> bool:
        """Whether it is that object, perhaps, with a slip in its kind or apiVersion."""
        if self.ref.name != ref.name or (ref.namespace and ref.namespace != self.ref.namespace):
            return False
        return difflib.SequenceMatcher(None, self.ref.kind[:_NAMESPACE_CHARACTERS], ref.kind).ratio() >= _NEAR


Judged = tuple[Ref, Found] | Refused | Unread


@dataclass(frozen=True, slots=True)
class File:
    """What a file says. A `broken` one keeps the objects of its last good state, where that is known."""

    objects: Mapping[Ref, tuple[Found, ...]] = field(default_factory=dict)
    refused: tuple[Refused, ...] = ()
    unread: tuple[Unread, ...] = ()
    broken: bool = False
    chunks: Mapping[bytes, tuple[Judged, ...]] = field(default_factory=dict)
    """What each of its pieces says, by the piece's digest, with lines counted from the piece: an edit parses only what
    it changed."""
    kept: frozenset[Ref] = frozenset()
    """Objects that it said something of and that may stand in what cannot be told apart now."""
    blind: bool = False
    """Whether something in it cannot be told apart, and never could since it was first seen."""

    def refs(self) -> set[Ref]:
        """All objects that the file says something of, refused ones too, and those that it keeps."""
        return self.objects.keys() | {one.ref for one in self.refused if one.ref is not None} | self.kept


@dataclass(slots=True)
class Reading:
    """What a directory says: the object that counts of each ref, and refusals by location."""

    objects: dict[Ref, Found] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class MissingDirectory(ValueError):  # noqa: N818
    """The directory is not there, is none, or is no place for manifests."""


def read_directory(root: Path, cluster: str) -> Reading:
    """All manifests below `root`, in the order of their paths. Raises MissingDirectory."""
    from streams.sources.directory import Directory  # noqa: PLC0415  it is built on this module

    directory = Directory(root, cluster)
    if directory.missing:
        raise MissingDirectory(missing(root))
    if (words := inside(root)) is not None:
        raise MissingDirectory(words)
    refs = directory.look()
    found = ((ref, directory.object(ref)) for ref in sorted(refs))
    return Reading(
        {ref: one for ref, one in found if one is not None},
        {one.location: one for one in directory.refusals()},
        [f"{one.name}:{one.line}: {one.message}" for one in directory.unread()],
    )


def missing(root: Path) -> str:
    """The words for a directory that is not there."""
    return f"{root} is not a directory: name the directory that holds your manifests"


def read_file(path: Path, name: str, cluster: str, before: File | None = None) -> File:
    """What the file at `path` says, `name` being its path below the root; `before` what it said last. Never raises."""
    try:
        text = text_of(path)
    except NoFile as error:
        return File(refused=(Refused(name, 0, str(error)),))
    except NoText as error:
        return _broken(Refused(name, error.line, str(error)), before)
    return read_text(text, name, cluster, before)


def read_text(text: str, name: str, cluster: str, before: File | None = None) -> File:
    """What the text of a file says; see `read_file`."""
    is_json = name.lower().endswith(".json")
    known = before.chunks if before is not None else {}
    chunks: dict[bytes, tuple[Judged, ...]] = {}
    found: list[Judged] = []
    for line, chunk in [(1, text)] if is_json else yaml_chunks(text):
        digest = hashlib.blake2b(chunk.encode(errors="surrogatepass"), digest_size=16).digest()
        judged = known.get(digest)
        if judged is None:
            try:
                documents = json_documents(chunk) if is_json else yaml_documents(chunk)
            except Unreadable as error:
                return _broken(Refused(name, line - 1 + error.line, str(error)), before)
            judged = tuple(_judged(item, name, at, cluster) for at, one in documents for item in _items(one))
        chunks[digest] = judged
        found += [_moved(one, line - 1) for one in judged]
    return _keeping(_file(found, chunks), before)


def identify(document: Any, cluster: str) -> Ref | str:
    """The ref of a document, or what is wrong with it."""
    if not isinstance(document, dict):
        return "a document must be an object with apiVersion, kind and metadata"
    version, kind, metadata = document.get("apiVersion"), document.get("kind"), document.get("metadata")
    if not isinstance(version, str) or not isinstance(kind, str) or not version or not kind:
        return "apiVersion and kind must be given, as text"
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        return f"{kind}: metadata.name must be given, as text"
    namespace = metadata.get("namespace") or "default"
    if not isinstance(namespace, str):
        return f"{kind} {metadata['name']}: metadata.namespace must be text"
    group = version.rpartition("/")[0]
    if "/" in group + kind + namespace + metadata["name"]:
        return f"{kind} {metadata['name']}: a name cannot contain a slash"
    if len(metadata["name"]) > _NAME_CHARACTERS or len(namespace) > _NAMESPACE_CHARACTERS:
        return f"{kind}: a name has at most {_NAME_CHARACTERS} characters, a namespace {_NAMESPACE_CHARACTERS}"
    try:
        (group + kind + namespace + metadata["name"]).encode()
    except UnicodeEncodeError:
        return "apiVersion, kind and names must be text: half a character stands there"
    namespaced = NAMESPACED.get((group, kind), True)
    return Ref(cluster, group, kind, namespace if namespaced else "", metadata["name"])


def _broken(refusal: Refused, before: File | None) -> File:
    if before is None:
        return File(refused=(refusal,), broken=True, blind=True)
    kept = frozenset(before.refs() - before.objects.keys())
    return File(before.objects, (refusal,), before.unread, True, before.chunks, kept, before.blind)


def _keeping(file: File, before: File | None) -> File:
    """The file with what it must not lose by a slip in what identifies a document."""
    is_unclear = any(one.ref is None for one in file.refused)
    if before is None:
        return replace(file, blind=is_unclear)
    gone = before.refs() - file.refs()
    kept = {ref for ref in gone if is_unclear or any(one.may_be(ref) for one in file.unread)}
    return replace(file, kept=frozenset(kept), blind=is_unclear and before.blind)


def _file(found: Iterable[Judged], chunks: Mapping[bytes, tuple[Judged, ...]]) -> File:
    objects: dict[Ref, tuple[Found, ...]] = {}
    refused: list[Refused] = []
    unread: list[Unread] = []
    for one in found:
        if isinstance(one, Refused):
            refused.append(one)
        elif isinstance(one, Unread):
            unread.append(one)
        else:
            objects[one[0]] = (*objects.get(one[0], ()), one[1])
    return File(objects, tuple(refused), tuple(unread), chunks=chunks)


def _moved(one: Judged, lines: int) -> Judged:
    if isinstance(one, Refused | Unread):
        return replace(one, line=one.line + lines)
    ref, found = one
    return ref, Found(found.object, found.name, found.line + lines)


def _items(document: Any) -> Iterator[Any]:
    """A list's items, whatever kind of list; nothing for an empty document."""
    if document is None:
        return
    kind = document.get("kind") if isinstance(document, dict) else None
    if isinstance(kind, str) and kind.endswith("List") and isinstance(document.get("items"), list):
        yield from document["items"]
        return
    yield document


def _unread(ref: Ref, name: str, line: int) -> Unread:
    if not is_kgateways(ref.group, ref.kind):
        return Unread(name, line, f"{ref.kind} of {ref.group or 'v1'} is not a kind that penstock reads", ref)
    said = Refusal(not_served(ref.group, ref.kind)).message
    return Unread(name, line, f"{ref.kind} {ref.namespace}/{ref.name}: {said}", ref, missed=True)


def _judged(document: Any, name: str, line: int, cluster: str) -> Judged:
    ref = identify(document, cluster)
    if isinstance(ref, str):
        return Refused(name, line, ref)
    if not is_known(ref.group, ref.kind):
        return _unread(ref, name, line)
    try:
        document = plain(document)
        check_size(document)
    except ValueError as error:
        return Refused(name, line, str(error), ref)
    judged = admit(ref, document)
    if isinstance(judged, Refusal):
        return Refused(name, line, judged.message, ref, _written(ref, document))
    if not ref.group and ref.kind == "Secret" and (fault := misencoded(judged.object)) is not None:
        return Refused(name, line, f"Secret {ref.namespace}/{ref.name}: {fault}", ref)
    return ref, Found(judged.object, name, line)


def _written(ref: Ref, refused: Mapping[str, Any]) -> Document | None:
    """What a refused document says that guards. Nothing of it was checked: of its metadata what names it is left."""
    if not BY_NAME[ref.group, ref.kind].guards:
        return None
    metadata = {key: one for key, one in refused["metadata"].items() if key in _NAMING and isinstance(one, str)}
    try:
        return Document(canonical({**{key: refused.get(key) for key in _SAID}, "metadata": metadata}))
    except NotJson:
        return None
