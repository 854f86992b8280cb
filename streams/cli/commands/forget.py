"""`penstock forget`: takes the objects of a cluster that nobody watches any more out of what is served."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.clusters import several
from streams.cli.output import fail
from streams.cli.reading import Brokers, Data, chosen, rows, with_log
from streams.cli.undoing import said
from streams.clock import now
from streams.identity import holder
from streams.ports import Log
from streams.topics import Topic


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=forget.__doc__)(forget)


def forget(
    cluster: Annotated[str, typer.Argument(help="The cluster.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,  # noqa: FBT002
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Append to the log that all objects of a cluster are gone: its Gateways are served no more.

    For a cluster that no `penstock run` and no `penstock watch` names any more, here or elsewhere: one that still
    watches it brings its objects back. It counts as stale no longer. The log keeps what was, and who forgot it.

    Exit code 1: there is no such cluster, or somebody watches it. 3: it is in the log and waits, or was rejected there.
    """
    from streams.sources import absent  # noqa: PLC0415  slow to import

    settings = chosen(data, brokers)
    if holder(settings.data) is not None and cluster in (absent.noted(settings.data) or ()):
        fail(f"cluster {cluster} is watched by the `penstock run` of {settings.data}: start it again without it", 1)

    async def count(log: Log, partition: int) -> int:
        state = await rows(log, Topic.STATE, partition)
        owned = [key.split("/")[1] for key in state if key.startswith(("resource/", "refused/", "stale/"))]
        several(owned, cluster)
        if cluster in absent.described(state, settings.configuration_cluster):
            fail(f"cluster {cluster} has a Cluster object in {settings.configuration_cluster}: delete that first", 1)
        return sum(key.startswith(f"resource/{cluster}/") for key in state)

    async def work(log: Log, partition: int) -> int:
        teller = said(settings, log, partition, cluster)
        signed = (now(), f"{teller.actor} (forget)")
        many, offset = await absent.forget(teller.log, partition, settings.domain, cluster, signed)
        await teller.applied(offset)
        return many

    found = with_log(settings, count)
    if not yes:
        typer.confirm(f"Delete the {found} objects of cluster {cluster} from what is served?", abort=True)
    typer.echo(f"cluster {cluster}: {with_log(settings, work)} objects deleted")
