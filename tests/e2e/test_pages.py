"""The tutorial and the how-to pages are pasted as they stand: their commands succeed and print what the page shows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.running import START_SECONDS, free_port, tidy, until

_ROOT = Path(__file__).parents[2]
_PAGES = [_ROOT / "docs/tutorial.md", *sorted((_ROOT / "docs/how-to").glob("*.md"))]
_BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PORT = re.compile(r"(?<![\d.])(?:80[0-9]{2}|84[0-9]{2}|90[0-9]{2})(?!\d)")
_COMMAND = re.compile(r"(?:^ *|\| |-- |/bin/|=\S+ )penstock ([a-z][a-z-]*)([^`\n]*)", re.MULTILINE)
"""Where it is no argument of another command."""
_RUN = ".venv/bin/penstock run"
_WITH_SETTINGS = "env $(cat "
"""Before a run: what a page wrote for it."""
_SET_UP = "make setup\n"


@dataclass(frozen=True, slots=True)
class _Step:
    script: str
    shown: tuple[str, ...]
    """Each of these stands in what it prints."""


def _steps(text: str) -> list[_Step]:
    """The page's commands, on ports that are free here."""
    ports = {port: str(free_port()) for port in sorted(set(_PORT.findall(text)))}
    blocks = _BLOCK.findall(_PORT.sub(lambda found: ports[found[0]], text))
    steps: list[_Step] = []
    for kind, body in blocks:
        if kind == "sh":
            steps.append(_Step(body, ()))
        else:
            steps[-1] = _Step(steps[-1].script, tuple(body.split("\n")[:-1]))
    return [one for one in steps if one.script != _SET_UP]


@contextmanager
def _started(script: str, place: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (place / "run.out").open("ab") as out:
        process = subprocess.Popen(["bash", "-ec", f"exec {script}"], cwd=place, stdout=out, stderr=out)
    yield process
    process.send_signal(signal.SIGINT)
    assert process.wait(60) in {0, 130, -signal.SIGINT}, (place / "run.out").read_text()


def _paste(step: _Step, place: Path) -> None:
    """What a page waits for comes soon: until then its commands fail, or print something else."""
    said = ""

    def as_shown() -> bool:
        nonlocal said
        with (place / "step.out").open("w+") as out:
            code = subprocess.run(
                ["bash", "-ec", step.script], cwd=place, stdout=out, stderr=out, check=False
            ).returncode
            out.seek(0)
            said = out.read()
        return code == 0 and all(line in said for line in step.shown)

    until(as_shown, START_SECONDS, lambda: f"{step.script}prints:\n{said}\nshown: {step.shown}\n{_told(place)}")


def _told(place: Path) -> str:
    return (place / "run.out").read_text() if (place / "run.out").exists() else ""


@pytest.mark.parametrize("page", [one for one in _PAGES if "```sh" in one.read_text()], ids=lambda page: page.stem)
def test_a_page_can_be_pasted(page: Path, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    steps = _steps(page.read_text())
    with tidy(tmp_path), ExitStack() as running:
        for step in steps:
            if step.script.startswith((_RUN, _WITH_SETTINGS)):
                running.enter_context(_started(step.script.strip(), tmp_path))
            else:
                _paste(step, tmp_path)


def test_every_command_of_the_pages_exists() -> None:
    """Words and options that a page writes in code are the command line's."""
    helps: dict[str, str] = {}
    for page in [*_PAGES, _ROOT / "README.md", _ROOT / "docs/concepts.md"]:
        for name, rest in _COMMAND.findall("\n".join(_code(page.read_text()))):
            if name not in helps:
                done = subprocess.run(
                    [sys.executable, "-m", "streams.cli", name, "--help"],
                    capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"},
                )  # fmt: skip
                assert done.returncode == 0, f"{page.name}: penstock {name}: {done.stderr}"
                helps[name] = done.stdout
            for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", re.split(r" [#|] ", rest)[0]):
                assert option in helps[name], f"{page.name}: penstock {name} has no {option}"


def _code(text: str) -> list[str]:
    return [*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^(?: {4}|\.venv).*penstock .*$", text, re.MULTILINE)]
