"""The isolated Envoy takes what the engine emits, and refuses what is wrong in each kind of fragment, by itself."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from engine.engine import Engine
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKind
from streams.sinks.local_envoy import envoy_binary
from streams.xds.court import Court, Table, Undecided
from tests.support.certificate import pair
from tests.support.manifests import change_set, endpoints, gateway, put, route, service
from tests.xds.slipping import slipped

SEALER = Sealer(bytes(KEY_BYTES))
WHOLE = [FragmentKind.CLUSTER, FragmentKind.ENDPOINTS, FragmentKind.LISTENER, FragmentKind.SECRET]


def certificate(name: str = "cert", generation: int = 1) -> object:
    """A TLS Secret as it stands in the log."""
    chain, key = pair(ec.generate_private_key(ec.SECP256R1()))
    data = {"tls.crt": SEALER.seal_text(chain), "tls.key": SEALER.seal_text(key)}
    return put("", "v1", "Secret", name, {"type": "kubernetes.io/tls", "data": data}, generation)


def emitted() -> list[Fragment]:
    """Fragments of every kind."""
    engine = Engine(SEALER)
    tls = {"name": "tls", "port": 8443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}}
    http = {"name": "http", "port": 8080, "protocol": "HTTP"}
    static = {"spec": {"type": "Static", "static": {"hosts": [{"host": "example.invalid", "port": 80}]}}}
    dns = put("gateway.kgateway.dev", "v1alpha1", "Backend", "dns", static)
    rule = {"backendRefs": [{"group": "gateway.kgateway.dev", "kind": "Backend", "name": "dns"}]}
    objects = (
        gateway("gw", http, tls),
        service(),
        endpoints(),
        certificate(),
        dns,
        route("r"),
        route("other", rules=[rule]),
    )
    engine.apply(change_set(*objects), 0)  # type: ignore[arg-type]
    return list(engine.everything().fragments.set.values())


def court(envoy: Path | None = None) -> Court:
    return Court(envoy or envoy_binary(None), SEALER)


@pytest.mark.parametrize("kind", WHOLE)
async def test_it_refuses_what_envoy_would_and_takes_the_rest(kind: FragmentKind) -> None:
    found = [one for one in emitted() if one.key.kind is kind]
    assert found
    for one in found:
        assert not await court().refuses(one), one.key
    assert await court().refuses(slipped(found[0], SEALER))


async def test_it_finds_the_guilty_route_among_others() -> None:
    fragments = emitted()
    hosts = {one.key.name: one for one in fragments if one.parent == "listener~8080"}
    routes = [one for one in fragments if one.parent in hosts]
    table = Table([], hosts)
    assert await court().guilty(table, [*table.hosts.values(), *routes]) == []
    bad = slipped(routes[0], SEALER)
    assert await court().guilty(table, [*table.hosts.values(), *routes[1:], bad]) == [bad]


async def test_a_bad_head_condemns_nothing_that_stands_below_it() -> None:
    """With it every half is refused, whatever is in it."""
    fragments = emitted()
    head = next(one for one in fragments if one.key.kind is FragmentKind.ROUTE_CONFIG)
    hosts = {one.key.name: one for one in fragments if one.parent == head.key.name}
    routes = [one for one in fragments if one.parent in hosts]
    assert len(routes) > 1
    assert await court().guilty(Table([head], hosts), [*hosts.values(), *routes]) == []
    bad = slipped(head, SEALER)
    assert await court().guilty(Table([bad], hosts), [*hosts.values(), *routes]) == [bad]
    assert await court().guilty(Table([bad], {}), []) == [bad]


async def test_no_key_is_written_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even for as long as the isolated Envoy runs."""
    script = tmp_path / "envoy"
    script.write_text(f'#!/bin/sh\ncat "$4" > {tmp_path}/seen\nexec {envoy_binary(None)} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    secret = next(one for one in emitted() if one.key.kind is FragmentKind.SECRET)
    assert not await court(script).refuses(secret)
    seen = (tmp_path / "seen").read_bytes()
    assert b"BEGIN CERTIFICATE" in seen
    assert b"PRIVATE KEY" not in seen


@pytest.mark.parametrize("script", ["exit 1", "kill -9 $$"])
async def test_an_envoy_that_refuses_everything_judges_nobody(tmp_path: Path, script: str) -> None:
    path = tmp_path / "envoy"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    with pytest.raises(Undecided):
        await court(path).refuses(emitted()[0])


async def test_it_knows_its_version() -> None:
    assert await court().version() == "1.40.0"
