"""A case of the deployer: manifests, the rows that the engine makes of them, and what is deployed for each row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from engine.resolve.settings import EngineSettings
from streams.sinks.kubernetes.manifests import manifests
from streams.sinks.kubernetes.proxy import Proxy, Publisher, Template, read_proxy
from tests.golden.case import Read, read, resolved

CASES = Path(__file__).parent / "cases"
SETTINGS = EngineSettings(shared_address=False, service_addresses=True)
UID = "11111111-2222-3333-4444-555555555555"


def rows(name: str) -> dict[str, Any]:
    """The rows of a case, by Gateway."""
    found = read(CASES / name)
    assert not found.refused, found.refused
    golden = resolved(Read(found.change_sets, {}, SETTINGS))
    return json.loads(json.dumps(dict(sorted(golden.update.infra.set.items()))))


def template(name: str) -> Template:
    """The template of a case: with a token in a Secret and without TLS, unless template.yaml says otherwise."""
    file = CASES / name / "template.yaml"
    said = yaml.safe_load(file.read_text()) if file.exists() else {}
    token = (lambda gateway: f"token of {gateway}") if said.get("token", True) else None
    return Template(Publisher("penstock.penstock-system.svc", 9977, said.get("authority", "")), token)


def deployed(name: str) -> list[dict[str, Any]]:
    """All manifests of a case."""
    proxies = [one for one in map(read_proxy, rows(name).values()) if not one.held]
    return [one for proxy in proxies for one in manifests(proxy, template(name), UID)]


def proxy(name: str) -> Proxy:
    """The first proxy of a case."""
    return read_proxy(next(iter(rows(name).values())))
