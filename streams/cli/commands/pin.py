"""`penstock pin`: serves one gateway from the past, while the log goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from streams.cli.moment import MOMENT
from streams.cli.naming import wanted
from streams.cli.output import Format, fail, note
from streams.cli.reading import Brokers, Cluster, Data, Output, chosen, rows, with_log
from streams.cli.undoing import For, Reason, Until, Yes, agreed, ending, named, new_id, past, report, said
from streams.ports import Log
from streams.topics import Topic
from streams.view import read_table

if TYPE_CHECKING:
    from engine.ref import Ref


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=pin.__doc__)(pin)


def pin(  # noqa: PLR0913  the options of the command
    gateway: Annotated[str, typer.Argument(help="gateway/NAME or gateway/NAMESPACE/NAME.")],
    *,
    at: Annotated[str, typer.Option("--at", help=f"As of {MOMENT}.")],
    reason: Reason,
    for_: For = None,
    until_confirmed: Until = None,
    yes: Yes = False,
    cluster: Cluster = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Serve one gateway alone from the past, while the log goes on: other gateways see what changes, this one does not.

    All configuration that it reads is as it was; endpoints, Services, Secrets, ConfigMaps, Namespaces and
    ReferenceGrants are today's, and a port of then that another gateway has now is that one's, and told. Another pin
    of it takes its place; `penstock unpin` lifts it.

    Exit code 1: the log does not hold the moment, or there is no such gateway then. 3: it is in the log and waits.
    """
    from engine.events import Pin  # noqa: PLC0415  slow to import
    from streams.pins import differing, serve  # noqa: PLC0415

    meant = wanted(gateway)
    if meant.kind.name != "Gateway":
        fail(f"{gateway} is no gateway: `penstock rollback --ref {gateway}` brings other objects back", 2)
    until = ending(for_, until_confirmed)
    settings = chosen(data, brokers, cluster)

    def one_of(there: set[Ref]) -> Ref:
        found = sorted(ref for ref in there if meant.takes(ref) and settings.cluster in ("", ref.cluster))
        if len(found) > 1:
            fail(f"{gateway} is several: {', '.join(map(str, found))}; name its namespace and --cluster", 2)
        if not found:
            fail(f"at that moment {meant.absent(there)}: name a later --at", 1)
        return found[0]

    async def work(log: Log, partition: int) -> tuple[tuple[str, int], str]:
        to, then = await past(settings, log, partition, at)
        ref = one_of(named(then))
        count = len(differing(then, await rows(log, Topic.STATE, partition), ref, lambda _: True))
        agreed(f"Serve {ref} as of offset {to}, where {count} objects are otherwise now?", yes=yes)
        teller = said(settings, log, partition, ref.cluster)
        made = Pin(new_id(), ref, to, reason, *until())
        told, offset = await serve(teller, made, then, lambda _: True)
        await _tell_lost(log, partition, ref)
        return (told.id, offset), f"{'/'.join(ref[3:])} is served as of offset {to}"

    report(*with_log(settings, work), output)


async def _tell_lost(log: Log, partition: int, gateway: Ref) -> None:
    """Say which of its listeners of then are not served, as their ports are others' now."""
    table = await read_table(log, Topic.STATUS, partition, under=str(gateway))
    row = table.rows.get(str(gateway))
    status = orjson.loads(row.value or b"{}").get("status") if row is not None else None
    for one in (status or {}).get("listeners") or ():
        for condition in one["conditions"]:
            if condition["reason"] == "PortUnavailable":
                note(f"listener {one['name']} is not served: {condition['message']}")
