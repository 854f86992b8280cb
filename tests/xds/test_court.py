"""The isolated Envoy takes what the engine emits, and refuses what is wrong in each kind of fragment, by itself."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from engine.engine import Engine
from engine.envoy.secret import authorities
from engine.envoy.wire import encode, frame
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKey, FragmentKind
from streams.sinks.local_envoy import envoy_binary
from streams.xds.court import Court, Undecided, _ended
from tests.support.certificate import pair
from tests.support.manifests import change_set, endpoints, gateway, put, route, service
from tests.xds.slipping import slipped

SEALER = Sealer(bytes(KEY_BYTES))
PEM = "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n"
"""Which no certificate is."""
WHOLE = [
    FragmentKind.CLUSTER,
    FragmentKind.ENDPOINTS,
    FragmentKind.LISTENER,
    FragmentKind.FILTER_CHAIN,
    FragmentKind.SECRET,
]


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
    streams = ({"name": "tcp", "port": 8081, "protocol": "TCP"}, {"name": "udp", "port": 8081, "protocol": "UDP"})
    static = {"spec": {"type": "Static", "static": {"hosts": [{"host": "example.invalid", "port": 80}]}}}
    dns = put("gateway.kgateway.dev", "v1alpha1", "Backend", "dns", static)
    rule = {"backendRefs": [{"group": "gateway.kgateway.dev", "kind": "Backend", "name": "dns"}]}
    objects = (
        gateway("gw", http, tls, *streams),
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
    assert await court().guilty([], [*hosts.values(), *routes]) == []
    bad = slipped(routes[0], SEALER)
    assert await court().guilty([], [*hosts.values(), *routes[1:], bad]) == [bad]
    assert await court().guilty([], [bad]) == [bad]


async def test_a_bad_head_condemns_nothing_that_stands_below_it() -> None:
    """With it every half is refused, whatever is in it."""
    fragments = emitted()
    head = next(one for one in fragments if one.key.kind is FragmentKind.ROUTE_CONFIG)
    hosts = {one.key.name: one for one in fragments if one.parent == head.key.name}
    routes = [one for one in fragments if one.parent in hosts]
    assert len(routes) > 1
    assert await court().guilty([head], [*hosts.values(), *routes]) == []
    bad = slipped(head, SEALER)
    assert await court().guilty([bad], [*hosts.values(), *routes]) == [bad]
    assert await court().guilty([bad], []) == [bad]


def table_of(fragments: Sequence[Fragment]) -> tuple[list[Fragment], dict[str, Fragment], list[Fragment]]:
    """The head, the virtual hosts and the routes of the listener that ends no TLS."""
    heads = [one for one in fragments if one.key.kind is FragmentKind.ROUTE_CONFIG and one.key.name == "listener~8080"]
    hosts = {one.key.name: one for one in fragments if one.parent == heads[0].key.name}
    return heads, hosts, [one for one in fragments if one.parent in hosts]


def beside(host: Fragment, name: str, domain: str) -> Fragment:
    """Another virtual host of a domain (VirtualHost.name=1, domains=2), without a route."""
    key = host.key._replace(name=name)
    return replace(host, key=key, payload=frame(1, name.encode()) + frame(2, domain.encode()), version=name)


async def test_each_of_several_bad_ones_is_found_wherever_it_stands() -> None:
    heads, hosts, routes = table_of(emitted())
    good, bad = routes
    many = [replace(good, key=good.key._replace(name=f"{good.key.name}{number}"), provenance=()) for number in range(7)]
    for number in (0, 3, 6):
        many[number] = replace(many[number], payload=slipped(bad, SEALER).payload)
    for lanes in (1, 2, 16):
        found = await Court(envoy_binary(None), SEALER, lanes=lanes).guilty(heads, [*hosts.values(), *many])
        assert sorted(found, key=many.index) == [many[0], many[3], many[6]]


async def test_of_bad_ones_that_an_object_has_in_common_one_is_found() -> None:
    """Each run takes as long as a proxy's start: hundreds of routes of one bad policy would be minutes."""
    heads, hosts, routes = table_of(emitted())
    policy, other = (put("", "v1", "Policy", name, {}).ref for name in ("policy", "other"))
    bad = [
        replace(
            slipped(routes[0], SEALER),
            key=routes[0].key._replace(name=f"bad{number}"),
            provenance=((policy if number < 30 else other, 1), (gateway().ref, 1)),
        )
        for number in range(31)
    ]
    found = await court().guilty(heads, [*hosts.values(), *bad])
    assert len(found) == 2
    assert {one.provenance[0][0] for one in found} == {policy, other}


async def test_of_good_ones_that_are_bad_together_the_later_one_goes() -> None:
    """Two virtual hosts of one domain: with one of them the table is whole."""
    heads, hosts, routes = table_of(emitted())
    (host,) = hosts.values()
    first, second, third = [beside(host, name, "twice.example.com") for name in ("a", "b", "c")]
    other = beside(host, "d", "other.example.com")
    hosts |= {one.key.name: one for one in (first, second, third, other)}
    suspects = [first, second, other, host, third, *routes]
    assert await court().guilty(heads, suspects) == [second, third]
    assert await court().guilty(heads, [first, other, host, *routes]) == []


async def test_a_bad_virtual_host_condemns_none_of_its_routes() -> None:
    heads, hosts, routes = table_of(emitted())
    (host,) = hosts.values()
    bad = slipped(host, SEALER)
    assert await court().guilty(heads, [bad, *routes]) == [bad]
    worse = slipped(routes[0], SEALER)
    assert await court().guilty(heads, [bad, worse, *routes[1:]]) == [bad, worse]


@pytest.mark.parametrize("key", [b"", frame(2, b"-----BEGIN\0PRIVATE KEY"), frame(1, b"/etc/passwd")])
async def test_a_certificate_whose_key_cannot_be_one_is_refused_unheard(key: bytes) -> None:
    """A key is handed over in the environment, where no NUL may stand; no file is ever named."""
    one = next(one for one in emitted() if one.key.kind is FragmentKind.SECRET)
    # Secret.tls_certificate=2, TlsCertificate.private_key=2.
    bad = SEALER.seal(frame(1, one.key.name.encode()) + frame(2, frame(2, key)), str(one.key).encode())
    assert await court(Path("/nowhere")).refuses(replace(one, payload=bad))


@pytest.mark.parametrize(("bundle", "is_refused"), [(None, False), (PEM, True)])
async def test_authorities_of_clients_are_judged_too(bundle: str | None, *, is_refused: bool) -> None:
    key = FragmentKey(gateway().ref, FragmentKind.SECRET, "clients~443")
    text = pair(ec.generate_private_key(ec.SECP256R1()))[0].decode() if bundle is None else bundle
    body = encode(authorities(key.name, text, insecure=False))
    one = Fragment(key, SEALER.seal(body, str(key).encode()), "", sealed=True)
    assert await court().refuses(one) == is_refused


@pytest.mark.parametrize("good", [True, False])
async def test_a_sealed_listener_is_judged_where_files_are_in_memory(tmp_path: Path, *, good: bool) -> None:
    """A value of a Secret may stand in it."""
    script = tmp_path / "envoy"
    script.write_text(f'#!/bin/sh\necho "$4" > {tmp_path}/where\nexec {envoy_binary(None)} "$@"\n')
    script.chmod(0o755)
    one = next(one for one in emitted() if one.key.kind is FragmentKind.LISTENER)
    # Listener.listener_filters=9 with a name, and no config that such a one could have.
    body = one.payload if good else one.payload + frame(9, frame(1, b"nonsense"))
    sealed = replace(one, payload=SEALER.seal(body, str(one.key).encode()), sealed=True)
    assert await court(script).refuses(sealed) is not good
    if good:
        assert (tmp_path / "where").read_text().startswith("/dev/shm/penstock-judge-")


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


def odd_envoy(folder: Path, script: str) -> Path:
    """A binary that is no Envoy, or one that does something first; `$4` is the file that it is started with."""
    path = folder / "envoy"
    path.write_text(f'#!/bin/sh\n{script}\nexec {envoy_binary(None)} "$@"\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("script", ["exit 1", "kill -9 $$"])
async def test_an_envoy_that_refuses_everything_judges_nobody(tmp_path: Path, script: str) -> None:
    path = odd_envoy(tmp_path, script)
    with pytest.raises(Undecided):
        await court(path).refuses(emitted()[0])
    heads, hosts, routes = table_of(emitted())
    with pytest.raises(Undecided):
        await court(path).guilty(heads, [*hosts.values(), *routes])


_IF_IT_IS_THE_CASE = "if grep -qa no.such $4; then {}; fi"


async def test_an_envoy_that_breaks_down_over_a_piece_has_not_refused_it(tmp_path: Path) -> None:
    """It takes all else, and this too perhaps, with more memory."""
    bad = slipped(next(one for one in emitted() if one.key.kind is FragmentKind.CLUSTER), SEALER)
    assert await court().refuses(bad)
    with pytest.raises(Undecided, match="signal 9"):
        await court(odd_envoy(tmp_path, _IF_IT_IS_THE_CASE.format("kill -9 $$"))).refuses(bad)


async def test_an_envoy_that_hangs_is_ended_and_has_said_nothing(tmp_path: Path) -> None:
    bad = slipped(next(one for one in emitted() if one.key.kind is FragmentKind.CLUSTER), SEALER)
    path = odd_envoy(tmp_path, _IF_IT_IS_THE_CASE.format(f"echo $$ > {tmp_path}/pid; exec sleep 600"))
    with pytest.raises(Undecided, match="said nothing"):
        await Court(path, SEALER, seconds=5.0).refuses(bad)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_who_is_cancelled_in_the_moment_of_an_answer_ends() -> None:
    """Else the publisher would go on for ever, once in some hundred ends."""
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    answered = asyncio.get_running_loop().create_future()
    process.wait = lambda: answered  # type: ignore[method-assign]
    task = asyncio.create_task(_ended(process, 30.0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    answered.set_result(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_knows_its_version() -> None:
    assert await court().version() == "1.40.0"


@pytest.mark.parametrize("script", ["exec sleep 600", "sleep 20 & wait"])
async def test_an_envoy_that_does_not_say_its_version_is_ended(tmp_path: Path, script: str) -> None:
    """Also where a process of its own goes on with what it would say it on."""
    path = odd_envoy(tmp_path, f"echo $$ > {tmp_path}/pid; {script}")
    with pytest.raises(Undecided, match="said nothing within 1 s"):
        await Court(path, SEALER, seconds=1.0).version()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_what_says_no_version_has_none(tmp_path: Path) -> None:
    assert await court(odd_envoy(tmp_path, "echo nonsense; exit 0")).version() == ""
