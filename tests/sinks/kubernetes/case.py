"""A case of the deployer: manifests, the rows that the engine makes of them, and what is deployed for each row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from engine.resolve.settings import EngineSettings
from streams.sinks.kubernetes.manifests import manifests
from streams.sinks.kubernetes.proxy import Proxy, Publisher, Template, read_proxy
from streams.xds.authority import SERVER_NAME
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
    """The template of a case: with penstock's own certificates, unless template.yaml says otherwise."""
    file = CASES / name / "template.yaml"
    said = yaml.safe_load(file.read_text()) if file.exists() else {}
    host = "penstock.penstock-system.svc"
    if said.get("plaintext"):
        return Template(Publisher(host, 9977), lambda gateway: {"token": f"token of {gateway}".encode()})
    authority = said.get("authority", "(penstock's own CA)\n")
    name = host if "authority" in said else SERVER_NAME
    return Template(Publisher(host, 9977, authority, name), identity)


def identity(gateway: str) -> dict[str, bytes]:
    """Files that stand for a Gateway's certificate."""
    return {"tls.crt": f"certificate of {gateway}".encode(), "tls.key": f"key of {gateway}".encode()}


def deployed(name: str) -> list[dict[str, Any]]:
    """All manifests of a case."""
    proxies = [one for one in map(read_proxy, rows(name).values()) if not one.held]
    return [one for proxy in proxies for one in manifests(proxy, template(name), UID)]


def proxy(name: str) -> Proxy:
    """The first proxy of a case."""
    return read_proxy(next(iter(rows(name).values())))
