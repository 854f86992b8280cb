"""`penstock show`: one object of one moment, who said it when, and which revision of it was served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer
import yaml

from engine.fold import OVERRIDE, PIN, QUARANTINE, RESOURCE
from engine.quarantine import holding
from engine.ref import Ref, parse_ref
from engine.status.programmed import programmed, undeployed
from streams.cli.clusters import one_of
from streams.cli.moment import At, Tables, tables
from streams.cli.naming import Wanted, wanted
from streams.cli.output import Format, emit, fail, plain
from streams.cli.reading import Brokers, Cluster, Data, Output, acknowledged, chosen, with_log
from streams.ports import Log

_FAILED: Final = "no revision, requests for it are answered with 500"


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

    Where another revision is served, because its model or a proxy refuses this one or a pin or rollback has it so, that
    one is told too; also of an object that its source no longer has. Values of Secrets are never shown. Exit code 1: it
    is neither there at that moment nor served.
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
    refs = _known(state)
    within = [ref for ref in refs if cluster in ("", ref.cluster)]
    picked = [ref for ref in within if meant.takes(ref)]
    if not picked:
        fail(f"{meant.absent(within)}; what became of it tells `penstock history {_named(meant)}`", 1)
    one_of(f"{meant.kind.name} {meant.name}", (ref.cluster for ref in picked))
    if len(picked) > 1:
        namespaces = ", ".join(sorted(ref.namespace for ref in picked))
        fail(f"{meant.kind.name} {meant.name} is in namespaces {namespaces}: write KIND/NAMESPACE/NAME", 2)
    (ref,) = picked
    row = state.get(f"{RESOURCE}{ref}", {})
    object_ = unsealed_never(ref, row["object"]) if row else None
    served = _served(ref, row, state)
    shown = object_ if object_ is not None else (served or {}).get("object")
    status = (await there.statuses()).get(str(ref))
    if status is not None and shown is not None:
        converged = await there.convergence()
        told = undeployed(ref, {name: one["undeployed"] for name, one in converged.items()})
        shown["status"] = programmed(status, acknowledged(converged), told)
    heads = {"ref": str(ref), "revision": _generation(object_)}
    heads |= {name: row.get(name) for name in ("offset", "time", "actor")}
    return {**heads, "served": served, "object": object_}


def _known(state: dict[str, Any]) -> list[Ref]:
    """The objects that there are in their sources, or that only a pin or a rollback has still."""
    found = {key.removeprefix(RESOURCE) for key in state if key.startswith(RESOURCE)}
    found |= {key.split("/", 2)[2] for key, row in state.items() if key.startswith(OVERRIDE) and row["object"]}
    return [parse_ref(text) for text in sorted(found)]


def _generation(object_: Mapping[str, Any] | None) -> int | None:
    return ((object_ or {}).get("metadata") or {}).get("generation")


def _named(meant: Wanted) -> str:
    return "/".join(one for one in (meant.kind.name, meant.namespace, meant.name) if one)


def unsealed_never(ref: Ref, object_: dict[str, Any]) -> dict[str, Any]:
    """An object as it may be shown: a Secret's values are not, sealed or not."""
    if ref.kind != "Secret":
        return dict(object_)
    return {**object_, "data": dict.fromkeys(object_.get("data") or {}, "<sealed>")}


def _served(ref: Ref, row: dict[str, Any], state: dict[str, Any]) -> dict[str, Any] | None:
    """Which revision is served in place of what is written, and why; None where it is what is written.

    A pin's, where no rollback has another one and nobody refuses this one: its Gateway's only.
    """
    holds = [one for key, one in state.items() if key.startswith(QUARANTINE) and str(ref) in holding(one)]
    because = [{"gateway": one["gateway"], "fragment": one["fragment"], "error": one["error"]} for one in holds]
    rolled_back, pinned = _past(ref, state)
    told = [_by(pin, state) for pin in (*rolled_back, *pinned)]
    row = rolled_back[next(iter(rolled_back))] if rolled_back else row
    if row.get("refusal"):
        because = [{"gateway": "", "fragment": "", "error": row["refusal"]}, *because]
    if because:
        object_ = row.get("previous")
    elif told:
        object_ = row["object"] if rolled_back else next(iter(pinned.values()))["object"]
    else:
        return None
    revision = _generation(object_)
    shown = unsealed_never(ref, object_) if object_ is not None else None
    return {"revision": revision, "because": [*told, *because], "object": shown}


def _past(ref: Ref, state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rows of an object by the rollback that counts, if any, and by the pins of Gateways that have it otherwise."""
    from engine.engine import VERSION  # noqa: PLC0415  slow to import
    from engine.history.revisions import Revisions  # noqa: PLC0415

    name = f"/{ref}"
    revisions = Revisions(
        ((key, row) for key, row in state.items() if key.startswith(PIN) or key.endswith(name)), VERSION
    )
    everybody = revisions.of_all(ref)
    rolled_back = {everybody.pin: everybody.row} if everybody.pin else {}
    gateways = {pin: parse_ref(revisions.pin(pin)["gateway"]) for pin in revisions.pins(ref)}
    pinned = {pin: revisions.of(ref, gateway) for pin, gateway in gateways.items()}
    return rolled_back, {pin: one.row for pin, one in pinned.items() if one.pin and one.object != everybody.object}


def _by(pin: str, state: dict[str, Any]) -> dict[str, Any]:
    row = state[PIN + pin]
    return {"gateway": row["gateway"] or "", "fragment": "", "error": row["reason"], "pin": pin, "to": row["to"]}


def _text(found: dict[str, Any]) -> str:
    heads = ("ref", "revision", "offset", "time", "actor")
    lines = [plain(f"# {name}: {found[name]}") for name in heads]
    served = found["served"]
    if served is not None:
        lines += [_comment(_because(one)) for one in served["because"]]
    if served is not None and served["object"] is None:
        past = any("pin" in one for one in served["because"])
        lines.append(f"# served: {'not at all, as it was' if past else _FAILED}")
    text = "\n".join(lines) + "\n"
    if found["object"] is not None:
        text += _yaml(found["object"])
    if served is not None and served["object"] is not None:
        between = "---\n" if found["object"] is not None else ""
        text += f"{between}# served instead: revision {served['revision']}\n{_yaml(served['object'])}"
    return text.rstrip("\n")


def _because(one: dict[str, Any]) -> str:
    gateway = f"Gateway {'/'.join(one['gateway'].split('/')[3:])}" if one["gateway"] else ""
    if "pin" in one:
        whose = f"pin {one['pin']} of {gateway}" if gateway else f"rollback {one['pin']}"
        return f"served as of offset {one['to']} by {whose}: {plain(one['error'])}"
    return f"refused{f' by a proxy of {gateway}' if gateway else ''}: {one['error']}"


def _comment(text: str) -> str:
    return "\n".join(plain(f"# {line}") for line in text.strip().splitlines())


def _yaml(object_: dict[str, Any]) -> str:
    return yaml.safe_dump(object_, sort_keys=False, allow_unicode=True)
