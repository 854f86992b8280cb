"""`penstock get`: objects with their status, as kubectl prints them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from engine.fold import OVERRIDE, PIN, RESOURCE
from engine.ref import Ref, parse_ref
from engine.status.condition import conditions, is_good
from engine.status.programmed import programmed, undeployed
from streams.cli.clusters import one_of, several, stale_since
from streams.cli.moment import At, Tables, tables
from streams.cli.naming import Wanted, known, wanted
from streams.cli.output import Format, emit, fail, table
from streams.cli.reading import (
    Brokers,
    Cluster,
    Data,
    Namespace,
    Output,
    acknowledged,
    chosen,
    with_log,
)
from streams.ports import Log
from streams.sources.stamp import CLUSTER, STALE_SINCE

_HEADS = ("cluster", "namespace", "name", "generation", "state")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=get.__doc__)(get)


def get(  # noqa: PLR0913  the options of the command
    kind: Annotated[
        str, typer.Argument(help="A kind: its name, plural or short name; or KIND/NAME, KIND/NAMESPACE/NAME.")
    ],
    name: Annotated[str | None, typer.Argument(help="Only this object.")] = None,
    *,
    namespace: Namespace = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Of every namespace: the default.")
    ] = False,
    at: At = None,
    cluster: Cluster = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Print objects with their status: what the log says of them, and what proxies run; or as of another moment.

    As JSON or YAML each has its cluster in the annotation penstock.dev/cluster, and of one that cannot be reached since
    when, in penstock.dev/stale-since: what is printed is what was last seen. A name that is in several clusters
    needs --cluster.
    """
    if all_namespaces and namespace is not None:
        fail("-n and -A contradict one another", 2)
    meant = _wanted(kind, name, namespace, everywhere=all_namespaces)
    name = meant.name
    settings = chosen(data, brokers, cluster)

    async def work(log: Log, partition: int) -> list[tuple[Ref, dict[str, Any]]]:
        return await objects_of(await tables(settings, log, partition, at))

    objects = with_log(settings, work)
    named = several((ref.cluster for ref, _ in objects), settings.cluster)
    within = [(ref, object_) for ref, object_ in objects if settings.cluster in ("", ref.cluster)]
    picked = [(ref, object_) for ref, object_ in within if meant.takes(ref)]
    if name is not None and not picked:
        fail(meant.absent(ref for ref, _ in within), 1)
    if name is not None:
        one_of(f"{meant.kind.plural} {name}", (ref.cluster for ref, _ in picked))
    if output is Format.TABLE:
        table(_HEADS[not named :], [_row(*one)[not named :] for one in picked])
    elif name is not None and len(picked) == 1:
        emit(picked[0][1], output)
    else:
        emit({"apiVersion": "v1", "kind": "List", "items": [object_ for _, object_ in picked]}, output)


def _wanted(kind: str, name: str | None, namespace: str | None, *, everywhere: bool) -> Wanted:
    """What the arguments name; those that contradict one another end the command with code 2."""
    if "/" not in kind:
        return Wanted(known(kind), namespace, name)
    found = wanted(kind)
    if name is not None:
        fail(f"{kind!r} names an object already: leave out {name}", 2)
    if found.namespace is not None and everywhere:
        fail(f"{kind!r} and -A contradict one another", 2)
    if found.namespace is not None and namespace not in (None, found.namespace):
        fail(f"{kind!r} and -n {namespace} contradict one another", 2)
    return found._replace(namespace=found.namespace or namespace)


async def objects_of(there: Tables) -> list[tuple[Ref, dict[str, Any]]]:
    """All objects, each with the status that is shown; those too that their sources lack and a rollback has served."""
    state = await there.state()
    statuses = await there.statuses()
    shown = await there.convergence()
    converged, told = acknowledged(shown), {name: row["undeployed"] for name, row in shown.items()}
    stale = stale_since(state)
    found = []
    there_are = [(parse_ref(key.removeprefix(RESOURCE)), row) for key, row in state.items() if key.startswith(RESOURCE)]
    for ref, row in [*there_are, *_rolled_back(state)]:
        object_ = _noted(row["object"], ref.cluster, stale.get(ref.cluster, ""))
        if ref.kind == "Secret":
            object_["data"] = dict.fromkeys(object_.get("data") or {}, "<sealed>")
        status = statuses.get(str(ref))
        if status is not None:
            object_["status"] = programmed(status, converged, undeployed(ref, told))
        found.append((ref, object_))
    return found


def _rolled_back(state: dict[str, Any]) -> list[tuple[Ref, dict[str, Any]]]:
    """Objects that their sources no longer have, and that are served because of a rollback."""
    names = {key.split("/", 2)[2] for key in state if key.startswith(OVERRIDE)}
    gone = sorted(name for name in names if RESOURCE + name not in state)
    if not gone:
        return []
    from engine.engine import VERSION  # noqa: PLC0415  slow to import
    from engine.history.revisions import Revisions  # noqa: PLC0415

    revisions = Revisions(((key, row) for key, row in state.items() if key.startswith((PIN, OVERRIDE))), VERSION)
    found = ((ref, revisions.of_all(ref)) for ref in map(parse_ref, gone))
    return [(ref, one.row) for ref, one in found if one.row is not None and one.row["object"] is not None]


def _noted(object_: dict[str, Any], cluster: str, since: str) -> dict[str, Any]:
    metadata = object_["metadata"]
    notes = {CLUSTER: cluster, STALE_SINCE: since} if since else {CLUSTER: cluster}
    annotations = {**(metadata.get("annotations") or {}), **notes}
    return {**object_, "metadata": {**metadata, "annotations": annotations}}


def _row(ref: Ref, object_: dict[str, Any]) -> tuple[object, ...]:
    metadata, state = object_["metadata"], state_of(object_)
    if since := metadata["annotations"].get(STALE_SINCE):
        state = f"{state}, stale since {since}".removeprefix(", ")
    return ref.cluster, ref.namespace, ref.name, metadata.get("generation"), state


def state_of(object_: dict[str, Any]) -> str:
    """One word of an object's conditions: what is not as wished, or that all is well."""
    bad = [one for one in conditions(object_.get("status") or {}) if not is_good(one)]
    if bad:
        return ", ".join(dict.fromkeys(f"{one['type']}={one['status']} ({one['reason']})" for one in bad))
    return "ok" if object_.get("status") else ""


def line(condition: dict[str, Any]) -> str:
    """A condition as a person reads it."""
    of = "".join(f"{word} {condition[word]}: " for word in ("listener", "parent", "ancestor") if word in condition)
    return f"{of}{condition['type']}={condition['status']} {condition['reason']}: {condition['message']}"
