"""Which objects their sources could not take as they are written, and where: the refused rows, by object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from engine.ref import Ref, parse_ref
from engine.table import Trunk

Json = Mapping[str, Any]


class Refusals:
    """Found by object, since there may be as many refusals as there are documents."""

    def __init__(self, rows: Iterable[tuple[str, Json]] = ()) -> None:
        self._texts: MutableMapping[Ref, MutableMapping[str, str]] = {}
        self._refs: MutableMapping[str, Ref] = {}
        for key, row in rows:
            self.put(key, row)

    def fork(self, trunk: Trunk) -> Refusals:
        """What begins as this."""
        fork = Refusals()
        fork._texts, fork._refs = trunk.over(self._texts, trunk.over), trunk.over(self._refs)
        return fork

    def put(self, key: str, row: Json) -> set[Ref]:
        """Take the row of a refusal; answers the objects of which now other things are said."""
        changed = self.remove(key)
        if row["ref"] is not None:
            ref = parse_ref(row["ref"])
            self._refs[key] = ref
            self._texts.setdefault(ref, {})[key] = f"{row['location']}: {row['message']}"
            changed.add(ref)
        return changed

    def remove(self, key: str) -> set[Ref]:
        """The row is gone; answers as `put`."""
        ref = self._refs.pop(key, None)
        if ref is None:
            return set()
        del self._texts[ref][key]
        if not self._texts[ref]:
            del self._texts[ref]
        return {ref}

    def refs(self) -> list[Ref]:
        """The objects of which something is said."""
        return sorted(self._texts)

    def of(self, ref: Ref) -> str:
        """What stands against an object as it is written now; "" for nothing."""
        found = self._texts.get(ref)
        return "; ".join(found[key] for key in sorted(found)) if found else ""
