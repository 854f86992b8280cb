"""Random Secrets with keys of clients, some of them with labels, some with one another's; and answers to who asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hypothesis import strategies as st

from engine.events import Put
from engine.observed import observation, selection_ref
from tests.property.ages import AGES
from tests.support.manifests import CLUSTER, put

_LABELS: Final = ({}, {"app": "shop"}, {"app": "shop", "team": "a"}, {"team": "a"})
SELECTORS: Final[tuple[dict[str, str], ...]] = ({"app": "shop"}, {"app": "shop", "team": "a"}, {})
BLOCKS: Final[tuple[dict[str, Any], ...]] = (
    *({"apiKeyAuth": {"secretSelector": {"matchLabels": one}}} for one in SELECTORS),
    {"apiKeyAuth": {"secretRef": {"name": "k0"}}},
    {"apiKeyAuth": {"disable": {}}},
)


def api_keys(seal: Callable[[bytes], str]) -> Any:
    """A Secret, or that all Secrets of a selection were read."""

    @st.composite
    def made(draw: Any, number: int, generation: int) -> Put:
        if draw(st.integers(0, 3)) == 0:
            ref = selection_ref(CLUSTER, "default", draw(st.sampled_from([one for one in SELECTORS if one])))
            return Put(ref, observation(ref, {}))
        clients = draw(st.dictionaries(st.sampled_from("ab"), st.sampled_from([b"x", b"y", b""]), max_size=2))
        metadata = {"creationTimestamp": draw(st.sampled_from(AGES)), "labels": draw(st.sampled_from(_LABELS))}
        data = {client: seal(key) for client, key in clients.items()}
        return put("", "v1", "Secret", f"k{number}", {"metadata": metadata, "type": "Opaque", "data": data}, generation)

    return made
