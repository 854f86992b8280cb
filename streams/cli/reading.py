"""What read commands share: the options that say which log, and the topics as Python values."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import orjson
import typer

from streams.cli.output import Format, fail, note
from streams.diagnosis import diagnose, missing_topics
from streams.identity import IdentityError, holder
from streams.ports import Log, LogError, Unavailable
from streams.topics import Topic
from streams.view import read_table

if TYPE_CHECKING:
    from streams.settings import Settings

T = TypeVar("T")

Data = Annotated[Path | None, typer.Option("--data", help="Data directory of `penstock run`.")]
Brokers = Annotated[str | None, typer.Option("--brokers", help="A Kafka of yours, host:port.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="table, json or yaml.")]
Cluster = Annotated[str | None, typer.Option("--cluster", help="Only this cluster; or PENSTOCK_CLUSTER.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Only this namespace.")]


def chosen(data: Path | None = None, brokers: str | None = None, cluster: str | None = None) -> Settings:
    """The settings, with what the command's options say on top; a value that is off is exit code 2."""
    from streams.cli.roles import load_settings  # noqa: PLC0415  slow to import; --help must not wait for it

    return load_settings({"data": data, "brokers": brokers, "cluster": cluster})


def with_log(settings: Settings, work: Callable[[Log, int], Coroutine[Any, Any, T]]) -> T:
    """Run `work(log, partition)` on the log that the settings name; a log that is not there is exit code 3.

    What keeps the domain from going on is said on standard error: what is read is then older than it seems.
    """
    from streams.main import kafka_log, remedy  # noqa: PLC0415  slow to import

    try:
        log = kafka_log(settings)
    except (LogError, OSError) as error:
        fail(str(error), 3)

    async def run() -> T:
        await _begun(settings, log)
        trouble = await trouble_of(settings, log)
        if trouble is not None:
            note(trouble)
        return await work(log, settings.partition)

    try:
        return asyncio.run(run())
    except Unavailable as error:
        fail(f"{error}: {remedy(settings)}", 3)
    except (LogError, IdentityError, OSError) as error:
        fail(str(error), 3)


class NotYet(LogError):  # noqa: N818
    """There is nothing to read yet: the message says who is about it, or what to do."""


async def _begun(settings: Settings, log: Log) -> None:
    """Raises NotYet while there is no topic at all, and never was."""
    from streams.main import snapshot_file  # noqa: PLC0415  slow to import

    if snapshot_file(settings).exists():
        return
    if len(await missing_topics(log, settings.partition)) == len(Topic):
        raise _not_yet(settings, "there are no topics of penstock yet")


async def resolved(settings: Settings, log: Log) -> None:
    """Raises NotYet while nothing is resolved: what is not there may be there in a moment."""
    if (await read_table(log, Topic.STATUS, settings.partition)).progress < 0:
        raise _not_yet(settings, "nothing is resolved yet")


def _not_yet(settings: Settings, what: str) -> NotYet:
    run = holder(settings.data)
    if run is not None:
        return NotYet(f"`penstock run` (process {run}) is starting, {what}: ask again in a moment")
    return NotYet(f"{what}: start `penstock run`, or name the right --data or --brokers")


async def trouble_of(settings: Settings, log: Log) -> str | None:
    """Why the domain goes no further, None when it can. Raises Unavailable."""
    from streams.main import continued  # noqa: PLC0415  slow to import

    known = continued(settings, log) if settings.key_file.exists() else log
    return await diagnose(known, settings.partition)


async def rows(log: Log, topic: Topic, partition: int) -> dict[str, Any]:
    """The rows of a compacted topic of JSON values, by key, sorted."""
    table = await read_table(log, topic, partition)
    return {key: orjson.loads(record.value or b"null") for key, record in sorted(table.rows.items())}


def acknowledged(found: dict[str, Any]) -> dict[str, int | None]:
    """What `programmed` needs of convergence."""
    return {gateway: row["acknowledged"] for gateway, row in found.items()}
