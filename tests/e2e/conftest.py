"""What end-to-end tests share: a place to run penstock in, with a backend behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.site import Site, answering
from tests.support.running import tidy


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An empty site; whatever a test leaves running there is ended."""
    (tmp_path / "manifests").mkdir()
    with answering() as backend, tidy(tmp_path):
        yield Site(tmp_path, backend)
