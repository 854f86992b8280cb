"""`penstock rollback`: has objects served as they were, whatever their sources say."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from engine.ref import Ref
from streams.cli.moment import MOMENT
from streams.cli.naming import Wanted, wanted
from streams.cli.output import Format, fail
from streams.cli.reading import Brokers, Cluster, Data, Namespace, Output, chosen, rows, with_log
from streams.cli.undoing import For, Reason, Until, Yes, agreed, ending, named, new_id, past, report, said
from streams.ports import Log
from streams.topics import Topic

if TYPE_CHECKING:
    from engine.events import Override

_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=rollback.__doc__)(rollback)


def rollback(  # noqa: PLR0913  the options of the command
    *,
    to: Annotated[str, typer.Option("--to", help=f"As of {MOMENT}.")],
    reason: Reason,
    namespace: Namespace = None,
    ref: Annotated[list[str] | None, typer.Option("--ref", help="Only this object, KIND/NAME; again for more.")] = None,
    for_: For = None,
    until_confirmed: Until = None,
    yes: Yes = False,
    cluster: Cluster = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Serve objects of configuration as they were, to all gateways that are not pinned, whatever their sources say.

    What differs now from then is overridden; what sources say of it goes on being recorded beneath, and counts again
    after `penstock unpin`. Services, endpoints, Secrets, ConfigMaps, Namespaces and ReferenceGrants stay today's.

    Exit code 0 too when nothing differs. 1: the log does not hold the moment. 3: it is in the log and waits.
    """
    from engine.events import Pin  # noqa: PLC0415  slow to import
    from streams.pins import differing, serve  # noqa: PLC0415

    only = [_configured(one) for one in ref or ()]
    until = ending(for_, until_confirmed)
    settings = chosen(data, brokers, cluster)

    def takes(one: Ref) -> bool:
        return _is_in(one, settings.cluster, namespace, only)

    async def work(log: Log, partition: int) -> tuple[tuple[str, int], str] | None:
        at, then = await past(settings, log, partition, to)
        now = await rows(log, Topic.STATE, partition)
        found = differing(then, now, None, takes)
        _show(found, only, at, named(then) | named(now))
        if not found:
            typer.echo(f"nothing differs from offset {at}")
            return None
        agreed(f"Serve these {len(found)} objects as of offset {at}?", yes=yes)
        teller = said(settings, log, partition, settings.cluster)
        told, offset = await serve(teller, Pin(new_id(), None, at, reason, *until()), then, takes)
        return (told.id, offset), f"{len(found)} objects are served as of offset {at}"

    done = with_log(settings, work)
    if done is not None:
        report(*done, output)


def _configured(text: str) -> Wanted:
    """An object of configuration that is named; what is none ends the command with code 2."""
    from engine.layers import is_configuration  # noqa: PLC0415  slow to import

    one = wanted(text)
    if not is_configuration(Ref("", one.kind.group, one.kind.name, "", "")):
        fail(f"{one.kind.name} is no configuration, it stays today's: nothing is rolled back", 2)
    return one


def _show(found: Sequence[Override], only: Sequence[Wanted], at: int, there: Collection[Ref]) -> None:
    """What is about to be served; one that was named and is not otherwise ends the command."""
    for one in only:
        if not any(one.takes(ref) for ref in (*there, *(each.ref for each in found))):
            fail(f"{one.absent(there)}; nor was it at offset {at}: nothing is rolled back", 1)
        if not any(one.takes(each.ref) for each in found):
            fail(f"{one.kind.name}/{one.name} is not otherwise than at offset {at}: nothing is rolled back", 1)
    for each in found[:_SHOWN]:
        typer.echo(f"  {each.ref} {'as it was' if each.object is not None else 'absent, as it was'}", err=True)
    if (more := len(found) - _SHOWN) > 0:
        typer.echo(f"  and {more} more", err=True)


def _is_in(ref: Ref, cluster: str, namespace: str | None, only: list[Wanted]) -> bool:
    return (
        cluster in ("", ref.cluster)
        and namespace in (None, ref.namespace)
        and (not only or any(one.takes(ref) for one in only))
    )
