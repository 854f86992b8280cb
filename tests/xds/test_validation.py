"""What would be served is judged by a real Envoy before anybody serves it: each kind, each guilty one, and no other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from engine.update import Fragment, FragmentKind
from streams.xds.court import SECRET_WORDS, Undecided
from streams.xds.validation import Rejection, rejections
from tests.xds.slipping import slipped
from tests.xds.test_court import SEALER, beside, court, emitted, table_of


def _served() -> dict[str, Fragment]:
    return {str(one.key): one for one in emitted()}


async def _found(served: Mapping[str, Fragment], changed: Iterable[Fragment]) -> list[Rejection]:
    return [one async for one in rejections(court(), served, changed)]


async def test_what_the_engine_emits_is_taken_as_a_whole() -> None:
    served = _served()
    assert await _found(served, served.values()) == []


@pytest.mark.parametrize("kind", FragmentKind)
async def test_what_is_bad_is_named_with_envoys_words(kind: FragmentKind) -> None:
    served = _served()
    if not (mine := [one for one in served.values() if one.key.kind is kind]):
        pytest.fail(f"nothing of kind {kind} is emitted")
    bad = slipped(mine[0], SEALER)
    served[str(bad.key)] = bad
    (found,) = await _found(served, [bad])
    assert found.fragment == bad
    assert found.words
    assert (found.words == SECRET_WORDS) == (kind is FragmentKind.SECRET)


async def test_two_that_do_not_go_together_are_told_though_one_of_them_was_there() -> None:
    served = _served()
    _, hosts, _ = table_of(list(served.values()))
    (host,) = hosts.values()
    old, new = (beside(host, name, "twice.example.com") for name in ("a", "b"))
    served |= {str(one.key): one for one in (old, new)}
    (found,) = await _found(served, [new])
    assert found.fragment in (old, new)


async def test_an_envoy_that_takes_nothing_decides_nothing() -> None:
    broken = replace(court(), envoy=Path("/bin/false"))
    with pytest.raises(Undecided, match="refuses even an empty config"):
        _ = [one async for one in rejections(broken, {}, [])]
