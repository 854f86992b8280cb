"""Traces from a change to its acknowledgement, as far as roles know them: spans, and what rides in a record's headers.

It knows no library, and by itself it hears nothing: `streams.telemetry.otlp` has the one that does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


class Span:
    """One step of a trace. `traceparent` (W3C Trace Context) is what the next step names; "" when nobody listens."""

    traceparent: str = ""

    def end(self, error: str = "") -> None:
        """It ended now, with an error's words where it failed."""


_NONE: Final = Span()
Attributes = Mapping[str, str | int]


class Traces:
    """Where steps are told."""

    def begin(
        self, name: str, parent: str = "", *, at: float | None = None, attributes: Attributes | None = None
    ) -> Span:
        """A step that begins `at` seconds since 1970, or now; without a parent a trace of its own.

        A `parent` comes from a topic: whatever somebody wrote there is no error.
        """
        del name, parent, at, attributes
        return _NONE


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the variables of OpenTelemetry ask for traces: by an endpoint, or by an exporter's name."""
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter not in {"", "otlp"}:
        return False
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return bool(exporter or any(environment.get(name) for name in endpoints))
