"""A directory of manifests as it was last seen: reads what changed and says which objects that may touch.

It reads files and nothing else: no watching, no log. One file changed costs that file, whatever else is there.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from engine.ref import Ref
from streams.sources.content import EMPTY_FOLDER, shown
from streams.sources.listing import Listing, Signature, is_link
from streams.sources.manifests import File, Found, Refused, Unread, read_file
from streams.sources.writing import Writers

_BLOCK = 4096
_LOOKS = 5
_NAMED = 3
_FILLING_SECONDS = 2.5
_FILLED_SECONDS = 30.0


class Directory:
    """The files below `root`, as one cluster's. Names that begin with a dot are ignored, links are followed.

    Without any manifest it says nothing, unless it may be empty (`allow_empty`): what the log has of it stays. With
    `writers` files are read when nobody writes them; without, as they are.
    """

    def __init__(self, root: Path, cluster: str, *, allow_empty: bool = False, writers: Writers | None = None) -> None:
        self.root = root.absolute()
        self._listing = Listing(root)
        self._cluster = cluster
        self._allow_empty = allow_empty
        self._writers = writers
        self._filling: tuple[float, float] | None = None
        """Since it took the place of another: when that was, and when a file was last new in it, in seconds."""
        self._files: dict[str, File] = {}
        self._odd: dict[str, File] = {}
        """Those that something is to be told of: all others need not be looked through for a change of one."""
        self._signatures: dict[str, Signature] = {}
        self._owners: dict[Ref, list[str]] = {}
        self._shared: set[Ref] = set()
        """Objects that stand in more than one place."""
        self.held: set[Ref] = set()
        """Objects of the log that no file had when the two were first compared."""
        self._is_compared = False
        self._home: tuple[int, int] | None = None
        """Which directory it was when it had manifests last."""
        self._is_vacant = False
        """Whether it holds no manifest and is not the one that did: as below a volume that is not mounted."""
        self._owed = 0
        """Objects that the log had when it was compared with a directory without any manifest."""
        self.is_doubtful = False
        """Whether the last look met a file that may be half written."""

    @property
    def missing(self) -> bool:
        """Whether there is no such directory now, or an empty one in its place."""
        return self._is_vacant or not self.root.is_dir()

    @property
    def is_partial(self) -> bool:
        """Whether what was said before cannot be told from what is gone.

        Something was broken from the start, or a new file or the directory itself is still being filled.
        """
        waited = self._writers.unfinished - self._files.keys() if self._writers is not None else ()
        is_blind = any(file.broken and file.blind for file in self._odd.values())
        return is_blind or bool(self._listing.closed or waited) or self.is_filling

    @property
    def is_filling(self) -> bool:
        """Whether it took the place of another a moment ago, and more may come: look again in a second."""
        return self._filling is not None

    def unfinished(self) -> list[str]:
        """The paths (for `look`) of files that somebody writes: look again soon, nothing tells when he is done."""
        names = self._writers.unfinished if self._writers is not None else set()
        return [str(self.root / name) for name in sorted(names)]

    def late(self) -> list[str]:
        """Names of files that were read though somebody has them open for writing: he has had them for too long."""
        return sorted(self._writers.late) if self._writers is not None else []

    def identity(self) -> tuple[int, int] | None:
        """Which directory it is: another one when it was replaced, or a link to it moved. None when missing."""
        return self._listing.identity()

    def look(self, paths: Iterable[str] | None = None) -> set[Ref]:
        """Read what changed: the files at `paths` (absolute), or all whose time, size or inode changed.

        Answers the refs that may have changed. What a missing directory said stays.
        """
        self.is_doubtful = False
        touched: set[Ref] = set()
        names = None if paths is None or self.identity() != self._home else self._listing.names(paths)
        if names is not None:
            for name in sorted(names):
                touched |= self._read(name, self._listing.signature(name))
            self._fill(is_more=bool(touched))
            return touched
        # Files move while others are read: only a listing that held still is a state of the directory.
        for _ in range(_LOOKS):
            changed = self._changed() if self.root.is_dir() else {}
            if self._writers is not None:
                self._writers.learn(self.root / name for name in sorted(changed))
            for name in sorted(changed):
                touched |= self._read(name, changed[name])
            if not changed:
                break
        self._fill(is_more=bool(touched))
        return touched

    def _fill(self, *, is_more: bool) -> None:
        """Note whether one that took the place of another may be whole now: nothing came for a while."""
        if self._filling is None:
            return
        now, (since, last) = time.monotonic(), self._filling
        last = now if is_more else last
        is_filled = now - last >= _FILLING_SECONDS or now - since >= _FILLED_SECONDS
        self._filling = None if is_filled else (since, last)

    def moved(self) -> list[str]:
        """The paths (for `look`) of those that are reached by a link and are others now than they were read."""
        return self._listing.moved(self._signatures)

    def object(self, ref: Ref) -> Found | None:
        """The object that counts: the one of the first path, and the first of its documents there."""
        return next(self._places(ref), None)

    def written(self, ref: Ref) -> Found | None:
        """What a refused object says that guards something, where no file has it right: of the first path."""
        if self.object(ref) is not None:
            return None
        refused = (one for name in self._owners.get(ref, ()) for one in self._files[name].refused if one.ref == ref)
        return next((Found(one.written, one.name, one.line) for one in refused if one.written is not None), None)

    def refs(self) -> set[Ref]:
        """All objects that any file says something of, refused ones too."""
        return set(self._owners)

    def compare(self, logged: Collection[Ref]) -> None:
        """Note what the log has and no file; once, for what a file said since is known, and may go with its words."""
        if not (self._is_compared or self._allow_empty or self._files or self._listing.closed):
            self._owed, self._is_vacant = len(logged), bool(logged)
        gone = set(logged) - self._owners.keys()
        self.held = self.held & gone if self._is_compared else gone
        self._is_compared = True

    def keeps(self, ref: Ref) -> bool:
        """Whether an object of the log that no file has must stay: refused, or perhaps in what cannot be read."""
        if ref in self._owners or self.is_partial or self.missing:
            return True
        return ref in self.held and any(
            file.blind or any(one.may_be(ref) for one in file.unread) for file in self._odd.values()
        )

    def refusals(self) -> list[Refused]:
        """All refusals, one a location: those of one list are told together."""
        refused: dict[str, Refused] = {}
        found = [one for name in sorted(self._odd) for one in self._refused(self._odd[name])]
        for one in [*found, *(loser for ref in sorted(self._shared) for loser in self._losers(ref))]:
            before = refused.get(one.location)
            refused[one.location] = (
                one if before is None else replace(before, message=f"{before.message}; {one.message}")
            )
        closed = self._listing.closed.items()
        folders = {folder: f"cannot be listed: {why}; what it said stays" for folder, why in closed}
        folders |= dict.fromkeys(self._listing.empty, EMPTY_FOLDER)
        for folder, message in sorted(folders.items()):
            refused.setdefault(shown(folder), Refused(shown(folder), 0, message))
        if self.missing:
            words = f"the directory {shown(self.root)} is gone: what it said stays until it is back"
            if self._is_vacant and self.root.is_dir():
                words = (
                    f"the directory {shown(self.root)} holds no manifest now: the {self._owed or len(self._owners)} "
                    f"objects of cluster {self._cluster} stay until it holds some; mount it again, or, if it shall be "
                    "empty, start penstock with --allow-empty"
                )
            refused["."] = Refused(".", 0, words)
        return list(refused.values())

    def unread(self) -> list[Unread]:
        """Documents of kinds that nobody expects to be read, by path."""
        return [one for name in sorted(self._odd) for one in self._odd[name].unread if not one.missed]

    def _refused(self, file: File) -> Iterator[Refused]:
        """A file's refusals, each with the objects that stay because of it."""
        if file.broken:
            yield from file.refused
            return
        kept = {*file.kept, *self.held}
        for one in file.refused:
            stays = (kept if file.blind else file.kept) if one.ref is None else ()
            yield replace(one, message=one.message + _staying(stays))
        for odd in file.unread:
            meant = {ref for ref in kept if odd.may_be(ref)}
            if meant or odd.missed:
                yield Refused(odd.name, odd.line, odd.message + _staying(meant))

    def _places(self, ref: Ref) -> Iterator[Found]:
        for name in self._owners.get(ref, ()):
            yield from self._files[name].objects.get(ref, ())

    def _losers(self, ref: Ref) -> Iterator[Refused]:
        first, *others = self._places(ref)
        for one in others:
            message = f"{_named(ref)} stands in {first.location} already, which counts: remove one of the two"
            yield Refused(one.name, one.line, message)  # the object itself is as it should be

    def _changed(self) -> dict[str, Signature | None]:
        """Names whose file is new, another, or gone (None)."""
        identity, listed = self.identity(), self._listing.take()
        is_owing = not self._allow_empty and (bool(self._files) or self._owed > 0)
        self._is_vacant = is_owing and not listed and not self._listing.closed and identity != self._home
        if self._is_vacant:
            return {}
        if listed and self._home not in (None, identity) and not is_link(self.root):
            # Another directory, which is filled file by file; a link is switched to one that is whole.
            self._filling = (time.monotonic(), time.monotonic())
        self._home, self._owed = (identity, 0) if listed else (self._home, self._owed)
        changed: dict[str, Signature | None] = {
            name: signature for name, signature in listed.items() if self._signatures.get(name) != signature
        }
        closed = tuple(f"{folder}/" for folder in self._listing.closed if folder != ".")
        known = self._files.keys() | (self._writers.unfinished if self._writers is not None else set())
        gone = [name for name in known - listed.keys() if not name.startswith(closed)]
        return changed | dict.fromkeys(() if "." in self._listing.closed else gone)

    def _read(self, name: str, signature: Signature | None) -> set[Ref]:
        """Take a file anew, None for one that is gone; answers what it touches."""
        before = self._files.get(name)
        after = None
        if signature is not None:
            after = self._whole(name, signature, before)
            if after is None:
                return set()
        elif self._writers is not None:
            self._writers.forget(name)
        for known in (self._files, self._odd, self._signatures):
            known.pop(name, None)
        if after is not None and signature is not None:
            self._files[name] = after
            if after.refused or after.unread:
                self._odd[name] = after
            self._signatures[name] = signature
            self.is_doubtful |= after.broken or (signature[2] > 0 and signature[2] % _BLOCK == 0)
        touched = _difference(before or File(), after or File())
        said = after.refs() if after is not None else set()
        for ref in touched:
            self._own(ref, name, is_owner=ref in said)
        return touched

    def _whole(self, name: str, stands: Signature, before: File | None) -> File | None:
        """What the file says; None while somebody writes it, before it was read or meanwhile."""
        path, writers = self.root / name, self._writers
        if writers is not None and not writers.is_whole(name, path):
            return None
        after = read_file(path, shown(name), self._cluster, before)
        if writers is not None and not writers.is_whole(name, path, moved=self._listing.signature(name) != stands):
            return None
        return after

    def _own(self, ref: Ref, name: str, *, is_owner: bool) -> None:
        owners = [one for one in self._owners.get(ref, ()) if one != name]
        if is_owner:
            self.held.discard(ref)
            owners = sorted([*owners, name])
        if owners:
            self._owners[ref] = owners
        else:
            self._owners.pop(ref, None)
        if sum(1 for _ in self._places(ref)) > 1:
            self._shared.add(ref)
        else:
            self._shared.discard(ref)


def _named(ref: Ref) -> str:
    return f"{ref.kind} {ref.namespace}/{ref.name}".replace(" /", " ")


def _staying(refs: Collection[Ref]) -> str:
    """The words for objects that stay because of a refusal; none for none."""
    if not refs:
        return ""
    names = ", ".join(map(_named, sorted(refs)[:_NAMED]))
    more = f" and {len(refs) - _NAMED} more" if len(refs) > _NAMED else ""
    return f"; until this is corrected what it said before stays: {names}{more}"


def _difference(before: File, after: File) -> set[Ref]:
    """The refs of which the two say different things; where they stand does not matter."""
    refused = {one.ref for one in before.refused + after.refused if one.ref is not None}
    return {*refused, *(before.kept ^ after.kept)} | {
        ref
        for ref in before.objects.keys() | after.objects.keys()
        if [one.object for one in before.objects.get(ref, ())] != [one.object for one in after.objects.get(ref, ())]
    }
