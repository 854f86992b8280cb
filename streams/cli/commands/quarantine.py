"""`penstock quarantine`: what is held at its last good revision, why, and how a person ends that."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.fold import OVERRIDE, PIN, QUARANTINE, RESOURCE
from engine.ref import parse_ref
from streams.cli.commands.convergence import is_meant
from streams.cli.naming import wanted
from streams.cli.output import Format, emit, fail, say, table
from streams.cli.reading import Brokers, Cluster, Data, Output, chosen, resolved, rows, with_log
from streams.cli.undoing import agreed, new_id, said
from streams.ports import Log
from streams.topics import Topic

if TYPE_CHECKING:
    from engine.history.revisions import Revisions
    from streams.settings import Settings

_GATEWAY = ["gateway.networking.k8s.io", "Gateway"]
_NO_ROUTE = "requests to it get no route"
_HEADS = ("gateway", "held", "runs", "rejected", "since", "envoy", "error")
_SHOWN = 100
Row = dict[str, Any]


class Verb(StrEnum):
    """What to do."""

    LIST = "list"
    SHOW = "show"
    LIFT = "lift"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=quarantine.__doc__)(quarantine)


def quarantine(  # noqa: PLR0913  the options of the command
    verb: Annotated[Verb, typer.Argument(help="list, show or lift.")] = Verb.LIST,
    what: Annotated[
        str | None, typer.Argument(help="An object, KIND/NAME or KIND/NAMESPACE/NAME, or a fragment as show names it.")
    ] = None,
    *,
    gateway: Annotated[
        str | None, typer.Option("--gateway", "-g", help="Only of this Gateway: NAME or NAMESPACE/NAME.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Of lift: why. It stands in the log.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Of lift: do not ask.")] = False,
    cluster: Cluster = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """List what proxies rejected and is held at its last good revision, show all of it, or lift it by hand.

    A virtual host that several objects share is left out in place of holding them: requests to it get no route.

    A quarantine ends by itself once an object that it names is edited, or the Envoy of its Gateway is another. Lifted,
    what was rejected is tried once more: if a proxy rejects it again, it is held again. Exit code 1: nothing of that
    name is in quarantine, or there is no such Gateway. 3: a lift is in the log and waits, or was rejected there, as
    standard error says.
    """
    if verb is Verb.LIFT and (what is None or not reason.strip()):
        fail("lift what, and why? penstock quarantine lift KIND/NAME --reason TEXT", 2)
    settings = chosen(data, brokers, cluster)
    found = _found(settings, what, gateway)
    if verb is Verb.LIFT:
        _lift(settings, found, reason, yes=yes)
    elif output is not Format.TABLE:
        emit(found, output)
    elif not found:
        typer.echo(f"nothing of Gateway {gateway} is in quarantine" if gateway else "nothing is in quarantine")
    elif verb is Verb.SHOW:
        for line in "\n\n".join(_whole(one) for one in found).splitlines():
            say(line)
    else:
        table(_HEADS, [line for one in found for line in _lines(one)])


def _found(settings: Settings, what: str | None, gateway: str | None) -> list[Row]:
    """What is named, or all; a name of nothing that is there ends the command."""

    async def work(log: Log, partition: int) -> list[Row]:
        from streams.past import times  # noqa: PLC0415  slow to import

        await resolved(settings, log)
        state = await rows(log, Topic.STATE, partition)
        there = [row for key, row in state.items() if key.startswith(QUARANTINE)]
        meant = [row for row in _named(there, what) if is_meant(row["gateway"], gateway, settings.cluster)]
        if not meant and what is None and gateway is not None:
            _check_there(gateway, state, settings.cluster)
        told = await times(log, partition, (row["offset"] for row in meant))
        revisions = _revisions(meant, state)
        return [_told(row, revisions, told) for row in meant]

    found = with_log(settings, work)
    if not found and what is not None:
        named = " of ".join(one for one in (what, gateway and f"Gateway {gateway}") if one)
        fail(f"{named} is not in quarantine: see `penstock quarantine list`", 1)
    return found


def _check_there(gateway: str, state: Row, cluster: str) -> None:
    """A Gateway of which nothing is in quarantine is fine; one that is not there is misspelt."""
    refs = (key.removeprefix(RESOURCE) for key in state if key.startswith(RESOURCE))
    if not any(is_meant(ref, gateway, cluster) for ref in refs if ref.split("/")[1:3] == _GATEWAY):
        fail(f"there is no Gateway {gateway}: see `penstock get gateways`", 1)


def _named(there: Iterable[Row], what: str | None) -> list[Row]:
    """Those of a fragment, or whose objects an argument names."""
    found = list(there)
    if what is None:
        return found
    exact = [row for row in found if row["fragment"] == what]
    if exact or what.count("/") > 2:
        return exact
    meant = wanted(what)
    return [row for row in found if any(meant.takes(parse_ref(text)) for text, _ in row["objects"])]


def _revisions(there: Iterable[Row], state: Row) -> Revisions:
    """Of the objects that quarantines name."""
    from engine.engine import VERSION  # noqa: PLC0415  slow to import
    from engine.history.revisions import Revisions  # noqa: PLC0415

    names = {text for row in there for text, _ in row["objects"]}
    pins = [key for key in state if key.startswith(PIN)]
    layers = [RESOURCE, *(f"{OVERRIDE}{pin.removeprefix(PIN)}/" for pin in pins)]
    keys = [*pins, *(layer + name for layer in layers for name in names)]
    return Revisions(((key, state[key]) for key in keys if key in state), VERSION)


def _told(row: Row, revisions: Revisions, times: dict[int, str]) -> Row:
    """A quarantine with what its Gateway sees of its objects: a rollback or a pin may have them otherwise."""
    from engine.quarantine import holding, left_out  # noqa: PLC0415  slow to import

    holds, gateway = set(holding(row)), parse_ref(row["gateway"])
    return {
        "gateway": row["gateway"],
        "fragment": row["fragment"],
        "left_out": left_out(row),
        "version": row["version"],
        "envoy": row["envoy"],
        "error": row["error"],
        "offset": row["offset"],
        "time": times.get(row["offset"], ""),
        "objects": [
            _object(text, rejected, revisions.of(parse_ref(text), gateway).row or {}, is_held=text in holds)
            for text, rejected in row["objects"]
        ],
    }


def _object(text: str, rejected: int, there: Row, *, is_held: bool) -> Row:
    previous = (there.get("previous") or {}).get("metadata", {}).get("generation")
    return {
        "ref": text,
        "held": is_held,
        "rejected": rejected,
        "runs": previous if is_held else rejected,
        "offset": there.get("offset"),
        "time": there.get("time", ""),
        "actor": there.get("actor", ""),
    }


def _short(ref: str) -> str:
    return "/".join(ref.split("/")[2:])


def _runs(one: Row) -> str:
    return "none" if one["runs"] is None else f"generation {one['runs']}"


def _lines(row: Row) -> list[tuple[object, ...]]:
    since = f"{row['time']} ({row['offset']})".strip()
    words = row["error"].strip().replace("\n", " ")
    shown = words[:_SHOWN] + ("..." if len(words) > _SHOWN else "")
    place = "/".join(row["gateway"].split("/")[3:])
    said = since, row["envoy"], shown
    held: list[tuple[object, ...]] = [
        (place, _short(one["ref"]), _runs(one), f"generation {one['rejected']}", *said)
        for one in row["objects"]
        if one["held"]
    ]
    return [(place, _host(row), f"left out: {_NO_ROUTE}", "-", *said), *held] if row["left_out"] else held


def _host(row: Row) -> str:
    return f"virtual host {row['left_out']}"


def _whole(row: Row) -> str:
    lines = [
        f"fragment   {row['fragment']}",
        f"gateway    {'/'.join(row['gateway'].split('/')[3:])} (cluster {row['gateway'].split('/')[0]})",
        f"since      offset {row['offset']} {row['time']}".rstrip(),
        f"envoy      {row['envoy'] or 'of a version that it does not tell'} says:",
        *[f"           {one}" for one in row["error"].strip().splitlines()],
        *([f"left out   {_host(row)}: {_NO_ROUTE}"] if row["left_out"] else ()),
        "made from",
    ]
    for one in row["objects"]:
        state = f"held: runs {_runs(one)}, not generation {one['rejected']}" if one["held"] else "as it is"
        by = f", by {one['actor']}" if one["actor"] else ""
        lines.append(f"           {_short(one['ref'])}  {state}; changed at offset {one['offset']} {one['time']}{by}")
    what = "what is held" if all("/EndpointSlice/" in one["ref"] for one in row["objects"]) else "one of these"
    lines.append(f"ends when  {what} is edited, its proxies run another Envoy, or by `penstock quarantine lift`")
    return "\n".join(lines)


def _lift(settings: Settings, found: list[Row], reason: str, *, yes: bool) -> None:
    held = {_short(one["ref"]) for row in found for one in row["objects"] if one["held"]}
    names = ", ".join(sorted(held | {_host(row) for row in found if row["left_out"]}))
    agreed(f"Try {names} once more, which Envoy rejected?", yes=yes)

    async def work(log: Log, partition: int) -> int:
        from engine.events import Lift  # noqa: PLC0415  slow to import
        from engine.ref import parse_ref  # noqa: PLC0415

        lifts = [Lift(parse_ref(row["gateway"]), row["fragment"], row["envoy"], reason) for row in found]
        teller = said(settings, log, partition, lifts[0].gateway.cluster)
        offset = await teller.say(f"lift-{new_id()}", lifts)
        await teller.applied(offset)
        return offset

    offset = with_log(settings, work)
    typer.echo(f"lifted at offset {offset}: {names}, tried once more; what a proxy rejects again is held again")
