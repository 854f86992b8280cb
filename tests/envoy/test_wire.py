"""The compiled encoder against the library's parser and against the reference implementation, on every class in use."""

from __future__ import annotations

import pytest
from betterproto2 import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.envoy.wire import encode
from tests.envoy.drawing import messages
from tests.envoy.messages import built, goldens, named
from tests.envoy.reference import know, reserialized

# Deprecated fields are drawn as others are.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

_CLASSES = sorted(built() | named(), key=lambda one: f"{one.__module__}.{one.__name__}")
know(_CLASSES)


@pytest.mark.parametrize("cls", _CLASSES, ids=lambda one: one.__name__)
@settings(max_examples=40)
@given(st.data())
def test_the_parser_reads_what_was_encoded(cls: type[Message], data: st.DataObject) -> None:
    """Equal messages; and the bytes are those of the reference's deterministic mode."""
    message = data.draw(messages(cls))
    payload = encode(message)
    assert cls.parse(payload) == message
    assert reserialized(cls, payload) == payload


def test_goldens_are_what_the_reference_reads() -> None:
    """Its own bytes differ in the order of a map's keys "name" and "namespace" only (see `drawing`)."""
    for payload, message in goldens().items():
        assert encode(message) == payload
        again = reserialized(type(message), payload)
        assert len(again) == len(payload)
        assert type(message).parse(again) == message
