"""`penstock show`: one object of one moment, who said it when, and which revision of it was served."""

from __future__ import annotations

from typing import Annotated, Any

import typer
import yaml

from engine.fold import QUARANTINE, RESOURCE
from engine.quarantine import holding
from engine.ref import Ref, parse_ref
from engine.status.programmed import programmed, undeployed
from streams.cli.clusters import one_of
from streams.cli.moment import At, Tables, tables
from streams.cli.naming import Wanted, wanted
from streams.cli.output import Format, emit, fail
from streams.cli.reading import Brokers, Cluster, Data, Output, acknowledged, chosen, with_log
from streams.ports import Log


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=show.__doc__)(show)


def show(
    ref: Annotated[str, typer.Argument(metavar="REF", help="KIND/NAME or KIND/NAMESPACE/NAME.")],
    *,
    at: At = None,
    cluster: Cluster = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Print an object as YAML, now or as of another moment: its revision, offset, time, actor, and its status of then.

    Where another revision is served, because its model or a proxy refuses this one, that one is told too. Values of
    Secrets are never shown. Exit code 1: it is not there at that moment.
    """
    meant = wanted(ref)
    settings = chosen(data, brokers, cluster)

    async def work(log: Log, partition: int) -> dict[str, Any]:
        return await _shown(await tables(settings, log, partition, at), meant, settings.cluster)

    found = with_log(settings, work)
    if output is Format.TABLE:
        typer.echo(_text(found))
    else:
        emit(found, output)


async def _shown(there: Tables, meant: Wanted, cluster: str) -> dict[str, Any]:
    state = await there.state()
    refs = [parse_ref(key.removeprefix(RESOURCE)) for key in state if key.startswith(RESOURCE)]
    within = [ref for ref in refs if cluster in ("", ref.cluster)]
    picked = [ref for ref in within if meant.takes(ref)]
    if not picked:
        fail(f"{meant.absent(within)}; what became of it tells `penstock history {_named(meant)}`", 1)
    one_of(f"{meant.kind.name} {meant.name}", (ref.cluster for ref in picked))
    if len(picked) > 1:
        namespaces = ", ".join(sorted(ref.namespace for ref in picked))
        fail(f"{meant.kind.name} {meant.name} is in namespaces {namespaces}: write KIND/NAMESPACE/NAME", 2)
    (ref,) = picked
    row = state[f"{RESOURCE}{ref}"]
    object_ = unsealed_never(ref, row["object"])
    status = (await there.statuses()).get(str(ref))
    if status is not None:
        shown = await there.convergence()
        told = undeployed(ref, {name: one["undeployed"] for name, one in shown.items()})
        object_["status"] = programmed(status, acknowledged(shown), told)
    heads = {"ref": str(ref), "revision": object_["metadata"].get("generation")}
    heads |= {name: row.get(name) for name in ("offset", "time", "actor")}
    return {**heads, "served": _served(ref, row, state), "object": object_}


def _named(meant: Wanted) -> str:
    return "/".join(one for one in (meant.kind.name, meant.namespace, meant.name) if one)


def unsealed_never(ref: Ref, object_: dict[str, Any]) -> dict[str, Any]:
    """An object as it may be shown: a Secret's values are not, sealed or not."""
    if ref.kind != "Secret":
        return dict(object_)
    return {**object_, "data": dict.fromkeys(object_.get("data") or {}, "<sealed>")}


def _served(ref: Ref, row: dict[str, Any], state: dict[str, Any]) -> dict[str, Any] | None:
    """Which revision is served in place of what is written, and why; None where it is what is written."""
    holds = [one for key, one in state.items() if key.startswith(QUARANTINE) and str(ref) in holding(one)]
    because = [{"gateway": one["gateway"], "fragment": one["fragment"], "error": one["error"]} for one in holds]
    if row.get("refusal"):
        because = [{"gateway": "", "fragment": "", "error": row["refusal"]}, *because]
    if not because:
        return None
    previous = row.get("previous")
    if previous is None:
        return {"revision": None, "because": because, "object": None}
    revision = (previous.get("metadata") or {}).get("generation")
    return {"revision": revision, "because": because, "object": unsealed_never(ref, previous)}


def _text(found: dict[str, Any]) -> str:
    heads = ("ref", "revision", "offset", "time", "actor")
    lines = [f"# {name}: {found[name]}" for name in heads]
    served = found["served"]
    if served is not None:
        lines += [_comment(_because(one)) for one in served["because"]]
    if served is not None and served["object"] is None:
        lines.append("# served: no revision, requests for it are answered with 500")
    text = "\n".join(lines) + "\n" + _yaml(found["object"])
    if served is not None and served["object"] is not None:
        text += f"---\n# served instead: revision {served['revision']}\n{_yaml(served['object'])}"
    return text.rstrip("\n")


def _because(one: dict[str, Any]) -> str:
    where = f" by a proxy of Gateway {'/'.join(one['gateway'].split('/')[3:])}" if one["gateway"] else ""
    return f"refused{where}: {one['error']}"


def _comment(text: str) -> str:
    return "\n".join(f"# {line}" for line in text.strip().splitlines())


def _yaml(object_: dict[str, Any]) -> str:
    return yaml.safe_dump(object_, sort_keys=False, allow_unicode=True)
