"""A rule of a policy's spec: that a field of it is for some kinds of targets only. It knows no policy."""

from __future__ import annotations

from typing import Any

from engine.models.rules import Rule


def only_for(field: str, attribute: str, *kinds: str) -> Rule:
    """With the field (as written, and its attribute) all targets of a policy must be of these kinds."""
    each = " || ".join(f"r.kind == '{kind}'" for kind in kinds)
    lists = " && ".join(f"(!has(self.{one}) || self.{one}.all(r, {each}))" for one in ("targetRefs", "targetSelectors"))

    def holds(self: Any) -> bool:
        targets = (*self.target_refs, *self.target_selectors)
        return getattr(self, attribute) is None or all(one.kind in kinds for one in targets)

    return Rule(
        f"!has(self.{field}) || ({lists})",
        f"{field} can only be used when targeting {' or '.join(kinds)} resources",
        holds,
    )
