"""Sealing is deterministic, and only its own key opens it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ref import Ref, parse_ref
from engine.seal import KEY_BYTES, Sealer, UnsealError

_KEY = bytes(range(KEY_BYTES))


@given(st.binary(max_size=4096))
def test_a_sealed_value_reads_back(clear: bytes) -> None:
    """Seal then unseal is the identity, and the same input gives the same text."""
    sealer = Sealer(_KEY)
    text = sealer.seal_text(clear)
    assert sealer.unseal_text(text) == clear
    assert sealer.seal_text(clear) == text


def test_another_key_does_not_open_it() -> None:
    """A value sealed elsewhere is refused, not misread."""
    text = Sealer(_KEY).seal_text(b"secret")
    with pytest.raises(UnsealError):
        Sealer(_KEY[::-1]).unseal_text(text)
    assert "secret" not in text


@pytest.mark.parametrize("text", ["", "clear", "sealed:v1:", "sealed:v1:broken", "sealed:v1:a*b=", "sealed:v1:é"])
def test_a_text_that_is_none_is_refused(text: str) -> None:
    """Whoever reads a Secret expects no other error, and a query that fails tells nobody."""
    with pytest.raises(UnsealError):
        Sealer(bytes(KEY_BYTES)).unseal_text(text)


def test_a_ref_reads_back() -> None:
    """`parse_ref` undoes `str`, empty parts included."""
    ref = Ref("east", "", "Namespace", "", "shop")
    assert parse_ref(str(ref)) == ref


def test_secrets_that_follow_from_the_key_are_apart() -> None:
    """The same ones always, another for each purpose and key, and none of them the key's hash of something."""
    sealer, other = Sealer(_KEY), Sealer(_KEY[::-1])
    assert sealer.derived("a") == Sealer(_KEY).derived("a")
    found = {sealer.derived("a"), sealer.derived("b"), other.derived("a"), sealer.digest(b"a").encode()}
    assert len(found) == 4  # noqa: PLR2004  all of them
    assert all(len(one) == 64 for one in (sealer.derived("a"), sealer.derived("")))  # noqa: PLR2004  hexadecimal digits
