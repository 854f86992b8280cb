"""Conditions as Kubernetes spells them; lastTransitionTime belongs to the status writer."""

from __future__ import annotations

from typing import Any


def condition(kind: str, status: bool, reason: str, message: str, generation: int) -> dict[str, Any]:  # noqa: FBT001  the field itself
    """A metav1.Condition without lastTransitionTime."""
    return {
        "type": kind,
        "status": "True" if status else "False",
        "reason": str(reason),
        "message": message,
        "observedGeneration": generation,
    }
