"""Another authority for the certificates of clients counts for new connections, and ends none, by the real Envoy."""

from __future__ import annotations

import asyncio

from cryptography.hazmat.primitives.asymmetric import ec

from engine.engine import Engine
from engine.events import Put
from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKind, Update, parse_fragment_key
from tests.support.backend import CLIENTS, backends
from tests.support.certificate import pair
from tests.support.client import Ask, Connection, ask
from tests.support.manifests import change_set, endpoints, gateway, put, route, service
from tests.support.proxy import Proxies, proxies

_ADDRESS, _BACKEND, _PORT = "127.5.0.252", "127.5.0.3", 8443
_SEALER = Sealer(bytes(KEY_BYTES))
_ASK = Ask("example.com", sni="example.com", certificate=True)
_SECONDS = 240


def listening() -> Put:
    """A Gateway that asks clients for certificates."""
    validation = {"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "clients"}]}
    listener = {"name": "https", "port": _PORT, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}}
    found = gateway("gw", listener)
    found.object["spec"]["tls"] = {"frontend": {"default": {"validation": validation}}}  # type: ignore[index]
    return found


def certificate() -> Put:
    chain, key = (_SEALER.seal_text(one) for one in pair(ec.generate_private_key(ec.SECP256R1())))
    data = {"tls.crt": chain, "tls.key": key}
    return put("", "v1", "Secret", "cert", {"type": "kubernetes.io/tls", "data": data})


def trusted(text: str, generation: int) -> Put:
    return put("", "v1", "ConfigMap", "clients", {"data": {"ca.crt": text}}, generation)


def applied(running: Proxies, engine: Engine, update: Update) -> None:
    sets = update.fragments.set
    keys = {name: parse_fragment_key(name) for name in (*sets, *update.fragments.removed)}
    running.apply({**sets, **dict.fromkeys(update.fragments.removed)}, keys, engine.offset)


async def is_let_in() -> bool:
    try:
        return (await ask(_ADDRESS, _PORT, _ASK)).status == 200
    except (OSError, EOFError):
        return False


async def until_let_in(wanted: bool) -> None:  # noqa: FBT001  the answer that is waited for
    async with asyncio.timeout(_SECONDS):
        while await is_let_in() != wanted:
            await asyncio.sleep(0.05)


async def test_another_authority_drains_no_connection() -> None:
    engine, ours = Engine(_SEALER), CLIENTS.read_text()
    objects = (listening(), certificate(), trusted(ours, 1), service(), endpoints("s", _BACKEND), route("r"))
    engine.apply(change_set(*objects), 0)
    before = engine.everything().fragments.set
    async with backends({(_BACKEND, 9000): "1"}), proxies(before, _SEALER, _ADDRESS) as running:
        connection = await Connection.open(_ADDRESS, _PORT, "example.com", certificate=True)
        assert (await connection.ask(_ASK)).status == 200
        others = pair(ec.generate_private_key(ec.SECP256R1()))[0].decode()
        for number, (text, let_in) in enumerate(((others, False), (f"{others}{ours}", True)), start=1):
            update = engine.apply(change_set(trusted(text, number + 1), number=number), number)
            kinds = {parse_fragment_key(name).kind for name in update.fragments.set}
            assert kinds == {FragmentKind.SECRET}
            applied(running, engine, update)
            await until_let_in(let_in)
            answer = await connection.ask(_ASK)
            assert (answer.status, answer.header("connection")) == (200, None)
        connection.close()
