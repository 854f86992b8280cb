"""Whatever comes, admission answers; and what it admits, it admits again unchanged."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.models.admission import Admitted, Refusal, admit
from engine.models.canonical import normalise
from engine.models.kinds import BY_NAME
from tests.models.manifests import ALL, Json, copied, target

_WORDS = st.sampled_from(
    ["", "/", "*", "*.a.b", "/a/../b", "10s", "0s", "Exact", "RegularExpression", "(", "a{1001}", "::1", "Host", "a b"]
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | _WORDS | st.datetimes() | st.binary()
_KEYS = st.text(max_size=5) | st.sampled_from(["spec", "metadata", "status", "name", "rules", "type", "from", "path"])
JSON = st.recursive(_SCALARS, lambda node: st.lists(node) | st.dictionaries(_KEYS | st.integers(), node), max_leaves=12)


def _answers(kind: tuple[str, str], value: Any) -> None:
    judged = admit(kind, value)
    lenient = admit(kind, value, strict=False)
    if isinstance(judged, Admitted):
        assert judged == lenient
        again = admit(kind, judged.object)
        assert isinstance(again, Admitted)
        assert again == judged
        assert normalise(judged.object) == judged.object
    else:
        assert isinstance(judged, Refusal)
        assert judged.problems
        assert judged.message.isprintable() or "\n" not in judged.message
        if isinstance(lenient, Admitted):
            assert {problem.message for problem in judged.problems} == {"unknown field"}


@settings(max_examples=200)
@given(st.sampled_from(sorted(BY_NAME)), JSON, st.booleans())
def test_arbitrary_json_is_answered(kind: tuple[str, str], value: Any, headed: bool) -> None:  # noqa: FBT001
    if headed:
        version = BY_NAME[kind].versions[0]
        head = {"apiVersion": f"{kind[0]}/{version}" if kind[0] else version, "kind": kind[1]}
        value = head | {"metadata": {"name": "a"}, "spec": value} | (value if isinstance(value, dict) else {})
    _answers(kind, value)


def _places(node: Any) -> list[tuple[Any, Any]]:
    places = []
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        places += [(node, key), *_places(value)]
    return places


@settings(max_examples=400)
@given(st.data(), st.sampled_from(ALL))
def test_manifests_with_anything_anywhere_are_answered(data: st.DataObject, manifest: Json) -> None:
    changed = copied(manifest)
    for _ in range(data.draw(st.integers(1, 3))):
        places = _places(changed)
        node, key = places[data.draw(st.integers(0, len(places) - 1))]
        node[key] = data.draw(JSON)
    _answers(target(manifest), changed)
