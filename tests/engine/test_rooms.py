"""In the rooms whose files count by being there no file knows another: one is added, or taken away, without an edit to the rest."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_FOUND = re.compile(r"\bmodules\((engine[.\w]+)((?:, \"\w+\")*)\)")
"""As rooms are asked who is there: `modules(engine.policies, "feature", "features")`, with those that are shared."""


def _rooms() -> dict[str, frozenset[str]]:
    """By package the names of the modules in it that are no members, but for all of them."""
    asked = [one for path in sorted((_ROOT / "engine").rglob("*.py")) for one in _FOUND.findall(path.read_text())]
    return {package: frozenset(re.findall(r"\w+", shared)) for package, shared in asked}


def _imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, relatively or not, wherever in it."""
    package = ".".join(path.relative_to(_ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            module = ".".join(one for one in (above, node.module or "") if one)
            yield module
            yield from (f"{module}.{one.name}" for one in node.names)


def _members(package: str, shared: frozenset[str]) -> dict[str, Path]:
    folder = _ROOT / package.replace(".", "/")
    return {f"{package}.{one.stem}": one for one in folder.glob("*.py") if one.stem not in {"__init__", *shared}}


def _knows(package: str, shared: frozenset[str]) -> list[str]:
    members = _members(package, shared)
    return [
        f"{name} imports {found}"
        for name, path in members.items()
        for found in _imported(path)
        if found in members and found != name
    ]


def test_the_rooms_of_policies_are_among_them() -> None:
    wanted = {f"engine.policies{one}" for one in ("", ".cluster", ".extension", ".listener")} | {"engine.models.traffic"}
    assert wanted <= _rooms().keys()


@pytest.mark.parametrize(("package", "shared"), sorted(_rooms().items()), ids=lambda one: one if isinstance(one, str) else "")
def test_no_member_imports_another(package: str, shared: frozenset[str]) -> None:
    assert _members(package, shared)
    assert _knows(package, shared) == []


def test_a_member_that_knows_another_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    room = tmp_path / "engine/room"
    room.mkdir(parents=True)
    (room / "one.py").write_text("def f():\n    from .two import x\n")
    (room / "two.py").write_text("from engine.room import shared, three\n")
    (room / "three.py").write_text("import engine.room.one\n")
    (room / "shared.py").write_text("from engine.room import one\n")
    monkeypatch.setattr(f"{__name__}._ROOT", tmp_path)
    told = _knows("engine.room", frozenset({"shared"}))
    assert sorted(told) == [
        "engine.room.one imports engine.room.two",
        "engine.room.three imports engine.room.one",
        "engine.room.two imports engine.room.three",
    ]
