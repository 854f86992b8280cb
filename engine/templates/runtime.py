"""The Lua that renders templates in Envoy: ours, the same for all, in `runtime/`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

_PARTS: Final = ("values", "json", "numbers", "texts", "functions", "filters", "program", "statements", "stream")


@cache
def source() -> str:
    """One script, without its comments and indents; read once, as code is."""
    folder = files("engine.templates").joinpath("runtime")
    lines = (line.strip() for one in _PARTS for line in folder.joinpath(f"{one}.lua").read_text("utf-8").splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("--")) + "\n"
