"""`penstock replay`: folds the log alone, from its beginning; what it answers must equal what is live."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.engine import Engine
from engine.seal import Sealer
from engine.update import Fragment
from streams.cli.output import Format, emit, fail, note
from streams.cli.reading import Brokers, Data, Output, chosen, with_log
from streams.codec import NewerSchema, decode_fragment, dumps
from streams.past import change_sets
from streams.ports import Log
from streams.topics import Topic
from streams.view import read_table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=replay.__doc__)(replay)


def replay(  # noqa: PLR0913  the options of the command
    to: Annotated[int | None, typer.Option(help="The last offset to fold; else all.")] = None,
    digest: Annotated[bool, typer.Option("--digest", help="Print only the digest of all fragments.")] = False,  # noqa: FBT002
    live: Annotated[bool, typer.Option("--live", help="What is emitted now, instead of a replay.")] = False,  # noqa: FBT002
    out: Annotated[Path | None, typer.Option(help="Write fragments, statuses and nodes into this directory.")] = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Fold the log from its beginning and print the digest of what comes out.

    Exit code 1: the log does not hold the offset of --to.
    """
    from streams.main import engine_settings, key  # noqa: PLC0415

    for name, given in (("--to", to), ("--out", out)):
        if live and given is not None:
            fail(f"--live prints what is emitted now, {name} is for a replay: leave one of the two out", 2)
    settings = chosen(data, brokers)

    async def work(log: Log, partition: int) -> dict[str, Any]:
        if live:
            table = await read_table(log, Topic.XDS, partition)
            decoded = (decode_fragment(row) for row in table.rows.values())
            fragments = {str(one.key): one for one in decoded if one is not None}
            return {"offset": table.progress, "fragments": len(fragments), "digest": digest_of(fragments.values())}
        if not settings.key_file.exists():
            fail(
                f"there is no sealing key at {settings.key_file}: name the --data or PENSTOCK_SEALING_KEY of this log",
                3,
            )
        await _check_held(log, partition, to)
        engine = Engine(Sealer(key(settings)), engine_settings(settings))
        await fold(log, partition, engine, to)
        update = engine.everything()
        if out is not None:
            _write(out, update)
        found = update.fragments.set
        return {"offset": engine.offset, "fragments": len(found), "digest": digest_of(found.values())}

    answer = with_log(settings, work)
    if output is not Format.TABLE:
        emit(answer, output)
    elif digest:
        typer.echo(answer["digest"])
    else:
        typer.echo(f"offset {answer['offset']}: {answer['fragments']} fragments, digest {answer['digest']}")


async def _check_held(log: Log, partition: int, to: int | None) -> None:
    """End with a code when the log does not hold the offset; a marker's is one too. Say when its beginning is gone."""
    first, end = await log.ends(Topic.CHANGES, partition)
    if to is not None and not first <= to < end:
        held = f"the log holds {first} to {end - 1}; name one of these with --to, or leave it out"
        if first == end:
            held = "the log holds none yet; leave --to out"
        fail(f"there is no offset {to}: {held}", 2 if to < 0 else 1)
    if first > 0:
        note(f"the log begins at offset {first}: what was said before it is not in this replay")


async def fold(log: Log, partition: int, engine: Engine, to: int | None) -> None:
    """Apply penstock.changes to an engine; garbage is skipped, and what an earlier version took for it, too."""
    try:
        async for change_set, offset in change_sets(log, partition, to=to):
            engine.apply(change_set, offset)
    except NewerSchema as error:
        fail(str(error), 3)


def digest_of(fragments: Iterable[Fragment]) -> str:
    """blake2b-128 over keys, versions, parents and orders, sorted."""
    hashed = hashlib.blake2b(digest_size=16)
    for one in sorted(fragments, key=lambda one: str(one.key)):
        hashed.update(f"{one.key}\0{one.version}\0{one.parent}\0{one.order}\n".encode())
    return hashed.hexdigest()


def _write(directory: Path, update: Any) -> None:
    fragments = {key: one.version for key, one in sorted(update.fragments.set.items())}
    found = {"fragments": fragments, "statuses": dict(update.statuses.set), "nodes": dict(update.nodes.set)}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, values in found.items():
            (directory / f"{name}.json").write_bytes(dumps(values))
    except OSError as error:
        fail(f"{directory} cannot be written ({error.strerror}): name a directory with --out", 3)
