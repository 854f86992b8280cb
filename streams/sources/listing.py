"""Which manifests stand below a directory, and whether one is another than it was: never what they say."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from stat import S_ISDIR

from streams.data_directory import is_data
from streams.sources.manifests import SUFFIXES

Signature = tuple[int, int, int, int]


class Listing:
    """The manifests below `root`. Names that begin with a dot are ignored, links are followed."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.closed: dict[str, str] = {}
        """Folders that cannot be listed, and why: what was below them is not known to be gone."""
        self.empty: set[str] = set()
        """Folders with the name of a manifest and nothing in them."""
        self._folders: set[str] = set()
        """Folders, and links to some, hidden ones too."""
        self._passed: set[str] = set()
        """Data directories of runs: they change all the time, and nothing in them is a manifest."""
        self._linked: set[str] = set()
        """Files that are links, or below one: nobody tells when what they lead to changes."""

    def identity(self) -> tuple[int, int] | None:
        """Which directory it is: another one when it was replaced, or a link to it moved. None when missing."""
        try:
            stat = self.root.stat()
        except OSError:
            return None
        return stat.st_dev, stat.st_ino

    def take(self) -> dict[str, Signature]:
        """All manifests as they are now, by name: their paths below the root."""
        self.closed, self._folders, self.empty, self._passed = {}, set(), set(), set()
        listed = dict(self._walk())
        self._linked = self._reached(listed)
        return listed

    def signature(self, name: str) -> Signature | None:
        """That of one manifest now, None when it is gone."""
        found = signature(self.root / name)
        if found is not None and is_link(self.root / name):
            self._linked.add(name)
        return found

    def moved(self, known: Mapping[str, Signature]) -> list[str]:
        """The paths of those that are reached by a link and are others now than is known of them."""
        found = ((self.root / name, known.get(name)) for name in sorted(self._linked))
        return [str(path) for path, before in found if signature(path) != before]

    def names(self, paths: Iterable[str]) -> set[str] | None:
        """The names of manifests at these paths; None when something else changed, such as a folder or a link."""
        names = set()
        for path in map(Path, paths):
            name = os.path.relpath(path, self.root)
            if not self._passed.isdisjoint((name, *map(str, Path(name).parents))):
                continue
            hidden = any(part.startswith(".") for part in Path(name).parts)
            # Mounted ConfigMaps switch a link named ..data, which is looked into.
            if path.is_dir() or (hidden and path.is_symlink()) or (name in self._folders and not path.exists()):
                return None
            # What else is hidden or no manifest says nothing: an editor's own file, a name that was renamed into place.
            if not hidden and path.suffix.lower() in SUFFIXES:
                names.add(name)
        return names

    def _walk(self) -> Iterator[tuple[str, Signature]]:
        seen: set[tuple[int, int]] = set()
        for folder, folders, files in os.walk(self.root, followlinks=True, onerror=self._close):
            try:
                stat = Path(folder).stat()
            except OSError:
                continue
            if (stat.st_dev, stat.st_ino) in seen:
                folders.clear()
                continue
            seen.add((stat.st_dev, stat.st_ino))
            below = os.path.relpath(folder, self.root)
            self._folders |= {below, *(one if below == "." else f"{below}/{one}" for one in folders)}
            if Path(below).suffix.lower() in SUFFIXES and not folders and not files:
                self.empty.add(below)
            folders[:] = sorted(one for one in folders if not one.startswith("."))
            for one in [one for one in folders if is_data(Path(folder, one))]:
                folders.remove(one)
                self._passed.add(one if below == "." else f"{below}/{one}")
            for file in files:
                if file.startswith(".") or Path(file).suffix.lower() not in SUFFIXES:
                    continue
                stands = signature(Path(folder, file))
                if stands is not None:
                    yield (file if below == "." else f"{below}/{file}"), stands

    def _reached(self, names: Iterable[str]) -> set[str]:
        """Those that are links, or below one."""
        known = {"": False}

        def is_reached(name: str) -> bool:
            if name not in known:
                known[name] = is_reached(name.rpartition("/")[0]) or is_link(self.root / name)
            return known[name]

        return {name for name in names if is_reached(name)}

    def _close(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            self.closed[os.path.relpath(error.filename or self.root, self.root)] = error.strerror or "unreadable"


def is_link(path: Path) -> bool:
    """Path.is_symlink raises where a folder may be listed and not entered."""
    return os.path.islink(path)  # noqa: PTH114


def signature(path: Path) -> Signature | None:
    """What changes when a file does, or a link that leads nowhere; None where there is none, or a folder."""
    try:
        found = path.stat()
    except OSError:
        try:
            found = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            # Its folder may be listed and not entered: it is there, and that is all that can be known.
            return 0, 0, 0, 0
    return None if S_ISDIR(found.st_mode) else (found.st_mtime_ns, found.st_ino, found.st_size, found.st_dev)
