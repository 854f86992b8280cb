"""What roles log does nothing to a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from streams.cli.logs import configure_logs


@pytest.fixture
def _restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize(("form", "shown"), [("false", "\\x1b[2J"), ("true", "\\u001b[2J")])
def test_what_others_wrote_is_escaped(
    form: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PENSTOCK_LOG_JSON", form)
    configure_logs()
    structlog.get_logger().error("a proxy rejected config", error="\x1b[2J", reason="one\ntwo")
    try:
        raise ValueError("\x1b[2J")  # noqa: EM101, TRY003, TRY301
    except ValueError:
        structlog.get_logger().error("ended", exc_info=True)
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert shown in said
    assert "a proxy rejected config" in said.splitlines()[0]
