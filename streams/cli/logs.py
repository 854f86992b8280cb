"""How roles log: structlog, for people or as JSON lines, to standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from streams.cli.output import plain

_CONSOLE = structlog.dev.ConsoleRenderer(colors=False)


def configure_logs() -> None:
    """Take level and form from the settings."""
    from streams.settings import Settings  # noqa: PLC0415

    settings = Settings()
    level = getattr(logging, settings.log_level.upper(), logging.INFO)
    # asyncio complains of futures that aiokafka forgets when its producer is fenced; the fencing itself is handled.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    renderer = structlog.processors.JSONRenderer() if settings.log_json else _for_people
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _for_people(logger: Any, name: str, event: MutableMapping[str, Any]) -> str:
    """In lines, of which none does anything to a terminal: what Envoy and manifests say stands in them."""
    return "\n".join(map(plain, str(_CONSOLE(logger, name, event)).split("\n")))
