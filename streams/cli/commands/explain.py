"""`penstock explain`: why a request is answered as it is, now or at another moment of the log."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.placement import parse_placement, place_of
from engine.ref import parse_ref
from streams.cli.moment import At, engine_of, last
from streams.cli.output import Format, emit, fail, say, table
from streams.cli.reading import Brokers, Cluster, Data, Output, chosen, resolved, with_log
from streams.history import said
from streams.ports import Log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.engine import Engine
    from engine.history.explain import Config, Request
    from engine.history.revisions import Revisions
    from engine.ref import Ref
    from streams.settings import Settings

_HEADS = ("object", "generation", "offset", "time", "actor")
_BECAUSE = "because"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=explain.__doc__)(explain)


def explain(  # noqa: PLR0913  the options of the command
    words: Annotated[list[str], typer.Argument(metavar="[METHOD] URL", help="Such as GET https://host/path?query.")],
    *,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="NAME: VALUE of the request; again for more.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="The listener's port, where the URL's is another: behind a load balancer.")
    ] = None,
    sni: Annotated[str | None, typer.Option(help="The name in the TLS handshake, where it is not the URL's.")] = None,
    client: Annotated[str, typer.Option(help="The address that the connection comes from.")] = "127.0.0.1",
    gateway: Annotated[
        str | None, typer.Option(help="Only this Gateway: NAME or NAMESPACE/NAME; with @CLUSTER, its proxies there.")
    ] = None,
    at: At = None,
    cluster: Cluster = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Print why a request is answered as it is, with the object behind each step and its revision.

    It tells listener, virtual host, each route that wins or loses and why, filters and policies, backends, endpoints.
    Of several Gateways that listen on the port all are told. What is wanted is explained, not what each proxy has. The
    revision of an object is the one that is served; where that is not the one in its source, it is said why.

    Exit code 0: explained, whatever is answered. 1: no Gateway listens on the port, or the log does not hold the
    moment.
    """
    request = replace(_request(words, header or [], port, sni), client=_address(client))
    name, elsewhere = _placed(gateway or "")
    settings = chosen(data, brokers, cluster)

    async def work(log: Log, partition: int) -> list[dict[str, Any]]:
        if at is None:
            await resolved(settings, log)
        engine = await engine_of(settings, log, partition, at or str(await last(log, partition)))
        update = engine.everything()
        configs = _wanted(_configs(settings, update.fragments.set, elsewhere), settings.cluster, name)
        _check(configs, update.statuses.set)
        found = await asyncio.to_thread(_explained, configs, request, _revisions(engine))
        await _find(log, partition, engine.offset, [each for one in found for each in one["objects"]])
        return found

    found = with_log(settings, work)
    if output is Format.TABLE:
        _print(found)
    else:
        emit(found, output)


def _address(client: str) -> str:
    """The client's address; what is none ends the command with code 2."""
    try:
        return str(ip_address(client))
    except ValueError:
        fail(f"--client {client!r} is no address: write it as in 203.0.113.7", 2)


def _placed(gateway: str) -> tuple[str, str]:
    """The Gateway's name and the cluster of its proxies; an `@` without one ends the command with code 2."""
    if gateway.endswith("@"):
        fail(f"--gateway {gateway!r} names no cluster: write NAME@CLUSTER, or NAME for its own", 2)
    return place_of(gateway)


def _request(words: list[str], headers: list[str], port: int | None, sni: str | None) -> Request:
    """The request; words that make none end the command with code 2."""
    from engine.history.explain import request_of  # noqa: PLC0415  slow to import

    if len(words) not in (1, 2):
        fail("give a URL, or a method and a URL: GET https://shop.example.com/pay", 2)
    for one in (*words, *headers, sni or ""):
        if any("\ud800" <= letter <= "\udfff" for letter in one):
            fail(f"{one!r} is no UTF-8", 2)
    method = words[0].upper() if len(words) == 2 else "GET"
    pairs = [(name.strip(), value.strip()) for name, _, value in (one.partition(":") for one in headers)]
    if wrong := [one for one in headers if ":" not in one]:
        fail(f"-H {wrong[0]!r} is no header: write it as in 'x-env: test'", 2)
    try:
        return request_of(method, words[-1], pairs, port=port, sni=sni)
    except ValueError as error:
        fail(str(error), 2)


def _configs(settings: Settings, fragments: Mapping[str, Any], elsewhere: str) -> dict[Ref, Config]:
    from engine.history.explain import configs  # noqa: PLC0415  slow to import
    from engine.seal import Sealer  # noqa: PLC0415
    from streams.main import key  # noqa: PLC0415

    return configs(fragments, Sealer(key(settings)), elsewhere)


def _wanted(configs: Mapping[Ref, Config], cluster: str, gateway: str) -> list[Config]:
    """The Gateways that are meant; none of them ends the command with code 1."""
    namespace, _, name = gateway.rpartition("/")
    found = [
        one
        for ref, one in configs.items()
        if cluster in ("", ref.cluster) and name in ("", ref.name) and namespace in ("", ref.namespace)
    ]
    if not found:
        known = ", ".join(f"{ref.namespace}/{ref.name}" for ref in configs) or "none"
        fail(f"there is no Gateway {gateway} that is served: there is {known}".replace("  ", " "), 1)
    return found


def _check(configs: list[Config], statuses: Mapping[str, Any]) -> None:
    """A Gateway without proxies in the cluster that is meant ends the command with code 1."""
    for one in configs:
        places = [parse_placement(text) for text in (statuses.get(str(one.gateway)) or {}).get("programmed") or ()]
        meant = one.elsewhere or one.gateway.cluster
        if (one.elsewhere or places) and meant not in {place.cluster for place in places}:
            where = ", ".join(place.cluster for place in places) or "none"
            name = f"{one.gateway.namespace}/{one.gateway.name}"
            fail(
                f"Gateway {name} has no proxies in cluster {meant}: it has them in {where} (--gateway NAME@CLUSTER)", 1
            )


def _revisions(engine: Engine) -> Revisions:
    from engine.engine import VERSION  # noqa: PLC0415  slow to import
    from engine.history.revisions import Revisions  # noqa: PLC0415

    return Revisions(engine.state().items(), VERSION)


async def _find(log: Log, partition: int, until: int, objects: list[dict[str, Any]]) -> None:
    """Fill in who said the revisions of the past, and when: the state has it not, penstock.updates perhaps."""
    for one in objects:
        if one["offset"] is None and one["generation"] is not None:
            found = await said(log, partition, parse_ref(one["ref"]), one["generation"], until)
            if found is not None:
                one.update({name: found.get(name) for name in ("offset", "time", "actor")})


def _explained(configs: list[Config], request: Request, revisions: Revisions) -> list[dict[str, Any]]:
    """Of those that listen on the port; where none does, the command ends with code 1."""
    from engine.history.explain.explanation import explanation, listens  # noqa: PLC0415  slow to import

    found = [one for one in configs if listens(one, request.port)]
    if not found:
        ports = "; ".join(f"{one.gateway.namespace}/{one.gateway.name} on {_ports(one)}" for one in configs)
        fail(f"no Gateway listens on port {request.port} ({ports}): name the listener's port with --port", 1)
    return [explanation(one, request, revisions) for one in found]


def _ports(config: Config) -> str:
    from engine.history.explain.config import port_of  # noqa: PLC0415  slow to import

    return ", ".join(str(port_of(one)) for one in config.listeners) or "none"


def _print(found: list[dict[str, Any]]) -> None:
    from engine.history.explain.words import lines  # noqa: PLC0415  slow to import

    named = len({one["cluster"] for one in found}) > 1
    for one in found:
        for line in lines(one):
            say(f"cluster {one['cluster']}: {line}" if named and not line.startswith(" ") else line)
        say("")
        heads = (*_HEADS, _BECAUSE) if any(each[_BECAUSE] for each in one["objects"]) else _HEADS
        table(heads, [[each[head] if each[head] is not None else "" for head in heads] for each in one["objects"]])
