"""Which fields of kgateway's kinds are done, and why the others are not: `make coverage-kgateway` prints it.

A field is done that is modelled, served, and written in a golden case, in an object that its model takes.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import typer
import yaml

from engine.models.admission import Admitted, admit
from engine.models.kgateway import GROUP, KINDS_NOT_SERVED, NOTHING
from engine.models.kinds import KINDS
from engine.models.schema import structural
from streams.cli.compatibility import WHOLE, state
from tests.models.fields import flattened

_MODELS: Final = Path(__file__).parent / "models"
_LISTS: Final = {
    "BackendConfigPolicy": ("backend_config_policy_fields.txt", ""),
    "DirectResponse": ("direct_response_fields.txt", ""),
    "GatewayExtension": ("gateway_extension_fields.txt", "spec."),
    "GatewayParameters": ("gateway_parameters_fields.txt", ""),
    "TrafficPolicy": ("traffic_policy_fields.txt", "spec."),
}
"""Of each kind the list of its fields, and what stands before each."""
_CASES: Final = ("golden/cases", "sinks/kubernetes/cases")


class Field(NamedTuple):
    """A field by its path, lists without brackets; `reason` is why it is not done, "" when it is."""

    kind: str
    path: str
    reason: str


def fields() -> list[Field]:
    """All fields of kgateway's kinds."""
    shown = _shown()
    modelled = {
        kind.name: {_plain(one) for one in flattened(structural(kind.model)["properties"]["spec"])}
        for kind in KINDS
        if kind.group == GROUP
    }
    return [
        Field(kind, path, _reason(kind, path, modelled.get(kind), shown[kind]))
        for kind, paths in sorted(_wanted().items())
        for path in sorted(paths)
    ]


def _reason(kind: str, path: str, modelled: set[str] | None, shown: set[str]) -> str:
    if modelled is None:
        return KINDS_NOT_SERVED[kind].get(path.removeprefix("spec."), NOTHING)
    if (said := state(kind, path.removeprefix("spec."))) != WHOLE:
        return said
    if path not in modelled:
        return "is in no model"
    return "" if path in shown else "stands in no golden case"


# -- what there is ----------------------------------------------------------------------------------------------------


def _wanted() -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for kind, (name, before) in _LISTS.items():
        found[kind] = {_plain(before + one) for one in (_MODELS / name).read_text().split()} | {"spec"}
    for line in (_MODELS / "listener_policy_fields.txt").read_text().splitlines():
        kind, path = line.split()
        found[kind].add(_plain(path))
    with (_MODELS / "gateway_api_fields.tsv").open(newline="") as lines:
        for kind, path, _ in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            if kind == "Backend":
                found[kind].add(_plain(path))
    return found


def _plain(path: str) -> str:
    return path.replace("[]", "").removesuffix("{}")


def _shown() -> Mapping[str, set[str]]:
    """What golden cases write, by kind."""
    found: dict[str, set[str]] = defaultdict(set)
    for folder in _CASES:
        for file in sorted((Path(__file__).parent / folder).glob("*/*.yaml")):
            if file.name in ("input.yaml", "before.yaml"):
                for one in _documents(file.read_text()):
                    kind = str(one.get("kind"))
                    if str(one.get("apiVersion", "")).startswith(f"{GROUP}/") and _is_taken(kind, one):
                        found[kind] |= set(_paths(one.get("spec"), "spec"))
    return found


def _is_taken(kind: str, object_: dict[str, Any]) -> bool:
    return kind not in KINDS_NOT_SERVED and isinstance(admit((GROUP, kind), object_), Admitted)


def _documents(text: str) -> list[dict[str, Any]]:
    """Those that are objects; a case may be about a file that is no YAML."""
    try:
        return [one for one in yaml.load_all(text, yaml.CSafeLoader) if isinstance(one, dict)]
    except yaml.YAMLError:
        return []


def _paths(value: object, path: str) -> Iterator[str]:
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _paths(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner, path)


def main() -> None:
    """Print it."""
    found = fields()
    for kind in sorted({one.kind for one in found}):
        mine = [one for one in found if one.kind == kind]
        done = sum(not one.reason for one in mine)
        typer.echo(f"{kind}: {done} of {len(mine)} fields done, {len(mine) - done} not")
        for one in mine:
            if one.reason:
                typer.echo(f"  {one.path}: {one.reason}")


if __name__ == "__main__":
    typer.run(main)
