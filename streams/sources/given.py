"""Manifests that are named one by one: files, directories, standard input; read and refused as a watched directory is.

It watches nothing and appends nothing. What they would make the files source say is `said`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from engine.document import Document, document
from engine.events import Change, Put
from engine.events import Refused as RefusedEvent
from engine.models.admission import Refusal, admit
from engine.ref import Ref
from engine.seal import Sealer
from streams.data_directory import inside
from streams.sources.content import FILE_BYTES, shown
from streams.sources.directory import Directory
from streams.sources.manifests import File, Found, MissingDirectory, Reading, Refused, missing, read_file, read_text
from streams.sources.stamp import CLUSTER, stamped

STDIN = "-"
"""Stands for standard input among what is named."""
_STDIN_NAME = "stdin"


def read_given(names: Sequence[str], cluster: str, stdin: BinaryIO) -> Reading:
    """All manifests, in the order in which they are named. Raises MissingDirectory.

    An object that stands in two places counts as it stands first, and the other is refused; so is one that says itself
    to be of another cluster (as `penstock get` notes it).
    """
    reading = Reading()
    for name in names:
        for found in _files(name, cluster, stdin):
            _take(reading, found, cluster)
    return reading


def said(
    reading: Reading, logged: Mapping[Ref, Document], time: str, sealer: Sealer, *, by_server: bool = False
) -> tuple[list[Change], dict[Ref, Found]]:
    """What the files source would append of it, given what the log says of these objects; and which it puts.

    What is refused and guards something is told as it is written, unless the log has a revision that was right.
    An object that comes by an API server is as old as that says: a manifest's word of it does not count there.
    """
    changes: list[Change] = []
    put: dict[Ref, Found] = {}
    written = {
        one.ref: Found(one.written, one.name, one.line)
        for one in reversed(reading.refused.values())
        if one.ref is not None and one.written is not None and one.ref not in reading.objects
    }
    for ref, found in sorted((written | reading.objects).items()):
        old = logged.get(ref)
        if ref in written and old is not None and not isinstance(admit(ref, old), Refusal):
            continue
        given = _undated(found.object) if by_server else found.object
        new = document(stamped(ref, given, old, time, sealer))
        if new != old:
            changes.append(Put(ref, new))
            put[ref] = found
    refused = sorted(reading.refused.items())
    return changes + [RefusedEvent(location, one.ref, one.message) for location, one in refused], put


def _undated(object_: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in object_["metadata"].items() if key != "creationTimestamp"}
    return {**object_, "metadata": metadata}


def _files(name: str, cluster: str, stdin: BinaryIO) -> Iterator[File]:
    if name == STDIN:
        yield _stdin(cluster, stdin)
        return
    path = Path(name)
    if not path.is_dir():
        if not path.exists() and not path.is_symlink():
            msg = f"there is no file or directory {name}: name what holds your manifests, or - for standard input"
            raise MissingDirectory(msg)
        yield read_file(path, shown(name), cluster)
        return
    if (words := inside(path)) is not None:
        raise MissingDirectory(words)
    directory = Directory(path, cluster, allow_empty=True)
    if directory.missing:
        raise MissingDirectory(missing(path))
    directory.look()
    objects = ((ref, directory.object(ref)) for ref in sorted(directory.refs()))
    found = {ref: (replace(one, name=_below(name, one.name)),) for ref, one in objects if one is not None}
    refused = tuple(replace(one, name=_below(name, one.name)) for one in directory.refusals())
    unread = tuple(replace(one, name=_below(name, one.name)) for one in directory.unread())
    yield File(found, refused, unread)


def _below(root: str, name: str) -> str:
    return shown(Path(root) / name) if name != "." else shown(root)


def _stdin(cluster: str, stdin: BinaryIO) -> File:
    content = stdin.read(FILE_BYTES + 1)
    if len(content) > FILE_BYTES:
        return File(refused=(Refused(_STDIN_NAME, 1, f"is larger than {FILE_BYTES >> 20} MiB: split it"),))
    try:
        text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig").read()
    except UnicodeDecodeError:
        return File(refused=(Refused(_STDIN_NAME, 0, "is no UTF-8 text: save it as UTF-8"),))
    # JSON may be indented by tabs, which YAML does not take.
    return read_text(text, f"{_STDIN_NAME}.json" if text.lstrip().startswith("{") else _STDIN_NAME, cluster)


def _take(reading: Reading, file: File, cluster: str) -> None:
    for ref, places in file.objects.items():
        for one in places:
            first = reading.objects.setdefault(ref, one)
            other = _other_cluster(one.object, cluster)
            named = f"{ref.kind} {_name(ref)}"
            if first is not one:
                words = f"{named} stands in {first.location} already, which counts: remove one of the two"
                _refuse(reading, Refused(one.name, one.line, words))
            elif other is not None:
                del reading.objects[ref]
                words = (
                    f"{named} is of cluster {other}, as its annotation {CLUSTER} says: name --cluster "
                    f"{other}, or remove the annotation to have it in cluster {cluster}"
                )
                _refuse(reading, Refused(one.name, one.line, words))
    for refusal in file.refused:
        _refuse(reading, refusal)
    for odd in file.unread:
        if odd.missed:
            _refuse(reading, Refused(odd.name, odd.line, odd.message))
        else:
            reading.warnings.append(f"{odd.name}:{odd.line}: {odd.message}")


def _refuse(reading: Reading, refusal: Refused) -> None:
    before = reading.refused.get(refusal.location)
    if before is not None:
        refusal = replace(before, message=f"{before.message}; {refusal.message}")
    reading.refused[refusal.location] = refusal


def _other_cluster(object_: Document, cluster: str) -> str | None:
    noted = (object_["metadata"].get("annotations") or {}).get(CLUSTER)
    return noted if isinstance(noted, str) and noted != cluster else None


def _name(ref: Ref) -> str:
    return f"{ref.namespace}/{ref.name}" if ref.namespace else ref.name
