"""The age of an object is the same on every machine."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from engine.resolve.manifest import created
from engine.signature import is_key


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Kolkata"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    "written", ["2026-01-01T00:00:00", "2026-01-01T00:00:00Z", "2026-01-01T05:30:00+05:30", "2026-01-01T00:00:00.000Z"]
)
def test_a_time_without_a_zone_is_read_alike_everywhere(written: str) -> None:
    assert created({"metadata": {"creationTimestamp": written}}) == "2026-01-01T00:00:00.000Z"


def test_a_key_is_written_one_way_only() -> None:
    """Keys are compared as text: another writing of the same bytes would lock its signer out."""
    written = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert is_key(written)
    assert not is_key(written.replace("Hh8=", "Hh9="))
