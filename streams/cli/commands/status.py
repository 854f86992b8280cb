"""`penstock status`: what is not as wished, and why; proxies, and what runs behind."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.placement import place_of
from engine.quarantine import held, left_out
from engine.ref import Ref, parse_ref
from engine.status.condition import conditions, is_good
from streams.cli.clusters import several, stale_since
from streams.cli.commands.get import line, objects_of
from streams.cli.commands.pins import pinned, until, what
from streams.cli.moment import At, tables
from streams.cli.naming import Wanted, wanted
from streams.cli.output import Format, emit, fail, say
from streams.cli.reading import (
    Brokers,
    Cluster,
    Data,
    Output,
    chosen,
    trouble_of,
    with_log,
)
from streams.clock import now
from streams.diagnosis import missing_topics
from streams.past import last_offset, milliseconds
from streams.ports import Log, TopicMissing
from streams.rejected import lately
from streams.sources.absent import described, noted, words
from streams.topics import Topic
from streams.view import read_table
from streams.xds.address import remedy, taken

if TYPE_CHECKING:
    from streams.settings import Settings

_ROWS = ("absent", "stale", "refused", "quarantined", "objects", "proxies")
"""What the answer lists, each with its cluster."""
_DAY = 24 * 3600 * 1000
_NAMED = 5
"""Objects of a quarantine: a virtual host may have thousands of routes."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=status.__doc__)(status)


def status(
    ref: Annotated[str | None, typer.Argument(help="Only this object: KIND/NAME or KIND/NAMESPACE/NAME.")] = None,
    *,
    at: At = None,
    cluster: Cluster = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Print refused manifests, conditions that are not as wished, quarantines, stale clusters, and the proxies.

    What was rejected of the log within a day is told with its reasons; it is no object, and changes no exit code. With
    --at as of another moment: what was wanted then counts as acknowledged, and proxies are not told.

    Exit code 0: all is as wished. 1: something is refused, quarantined, stale, rejected by a proxy, or has a condition
    that is not as wished, Programmed included; or the named object is not there. 3: the log cannot be read or followed
    now, or nothing is resolved yet; standard error says why, and what to do.
    """
    meant = wanted(ref) if ref is not None else None
    settings = chosen(data, brokers, cluster)

    found = with_log(settings, lambda log, partition: _found(settings, log, partition, at))
    found["convergence"] = _present(found["convergence"], found["state"])
    answer = {
        "log": {**found["log"], "trouble": found["trouble"]},
        "refused": [one for one in _refused(found["state"]) if _names(one["ref"], meant)],
        "quarantined": [one for one in _quarantined(found["state"]) if _concerns(one, meant)],
        "objects": [_object(one, object_) for one, object_ in found["objects"] if _chosen(one, meant)],
        "proxies": _proxies(found["convergence"], found["state"], settings.data / "proxies"),
    }
    answer["rejected"] = found["rejected"] if ref is None else []
    answer["pins"] = pinned(found["state"]) if ref is None else []
    answer["absent"] = _absent(found["state"], settings) if ref is None and at is None else []
    whose = {row["cluster"] for row in answer["objects"]}
    answer["stale"] = [one for one in _stale(found["state"]) if ref is None or one["cluster"] in whose]
    named = several(_clusters(found["state"], found["convergence"]), settings.cluster)
    for kind in _ROWS:
        answer[kind] = [one for one in answer[kind] if settings.cluster in ("", one["cluster"])]
    if meant is not None and not answer["objects"] and not answer["refused"]:
        fail(meant.absent(one for one, _ in found["objects"] if settings.cluster in ("", one.cluster)), 1)
    if output is Format.TABLE:
        _print(answer, whole=ref is not None, named=named)
    else:
        emit(answer, output)
    sys.exit(3 if found["trouble"] is not None else int(_is_amiss(answer)))


async def _found(settings: Settings, log: Log, partition: int, at: str | None) -> dict[str, Any]:
    """What is read of the log; of another moment nothing that keeps it from going on now."""
    lost = await missing_topics(log, partition)
    if lost:
        raise TopicMissing("\n          ".join(lost))
    there = await tables(settings, log, partition, at)
    return {
        "trouble": await trouble_of(settings, log) if at is None else None,
        "log": await _progress(log, partition) if at is None else {"behind": False},
        "rejected": await lately(log, partition, milliseconds(now()) - _DAY) if at is None else [],
        "objects": await objects_of(there),
        "state": await there.state(),
        "convergence": await there.convergence(),
    }


def _is_amiss(answer: dict[str, Any]) -> bool:
    """Whether anything is not as wished; our own conditions tell of what is served all the same (see `check`)."""
    found = [one for row in answer["objects"] for one in row["conditions"]]
    unmet = any(not is_good(one) and "/" not in one["type"] for one in found)
    rejected = any(row["connected"] and row["error"] for row in answer["proxies"])
    return bool(answer["refused"] or answer["quarantined"] or answer["stale"] or unmet or rejected)


def _refused(state: dict[str, Any]) -> list[dict[str, Any]]:
    """What sources could not take, and objects of the log that their models refuse."""
    found = [{"cluster": key.split("/")[1], **row} for key, row in state.items() if key.startswith("refused/")]
    told = {row["ref"] for row in found}
    for key, row in state.items():
        ref = key.removeprefix("resource/")
        if key.startswith("resource/") and row.get("refusal") and ref not in told:
            said = {"location": ref, "ref": ref, "message": row["refusal"], "time": row["time"]}
            found.append({"cluster": parse_ref(ref).cluster, **said})
    return found


def _quarantined(state: dict[str, Any]) -> list[dict[str, Any]]:
    found = [row for key, row in state.items() if key.startswith("quarantine/")]
    return [{"cluster": parse_ref(row["gateway"]).cluster, **row} for row in found]


def _concerns(row: dict[str, Any], meant: Wanted | None) -> bool:
    return meant is None or any(_names(text, meant) for text, _ in row["objects"])


def _names(text: str | None, meant: Wanted | None) -> bool:
    return meant is None or (text is not None and meant.takes(parse_ref(text)))


def _chosen(ref: Ref, meant: Wanted | None) -> bool:
    return meant is None or meant.takes(ref)


def _object(ref: Ref, object_: dict[str, Any]) -> dict[str, Any]:
    return {"cluster": ref.cluster, "ref": str(ref), "conditions": conditions(object_.get("status") or {})}


async def _progress(log: Log, partition: int) -> dict[str, Any]:
    """The last change set of the log, and the last one that was resolved."""
    last = await last_offset(log, partition)
    resolved = (await read_table(log, Topic.STATUS, partition)).progress
    return {"last": last, "resolved": resolved, "behind": last > resolved}


def _present(found: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """Rows of gateways that are there, or have a proxy still: what a deleted one's did last is nobody's concern."""
    return {
        gateway: row
        for gateway, row in found.items()
        if f"resource/{place_of(gateway)[0]}" in state or any(one["connected"] for one in row["proxies"].values())
    }


def _proxies(found: dict[str, Any], state: dict[str, Any], directory: Path) -> list[dict[str, Any]]:
    """Each proxy with what it runs, and whether its gateway has changed since."""
    from streams.sinks.local_envoy import admin_address, remembered  # noqa: PLC0415

    admins = {str(row["gateway"]): admin_address(row) for _, row in remembered(directory)}
    shown = []
    for gateway, row in found.items():
        wanted = int((state.get(f"changed/{place_of(gateway)[0]}") or {}).get("offset", -1))
        for name, proxy in row["proxies"].items():
            behind = proxy["offset"] < wanted
            at = {"cluster": _where(gateway), "proxy": name, "gateway": gateway}
            shown.append({**at, "admin": admins.get(gateway), "behind": behind, **proxy})
    return shown


def _clusters(state: dict[str, Any], proxies: Iterable[str]) -> set[str]:
    """Whose objects, refusals and proxies there are."""
    found = {key.split("/")[1] for key in state if key.startswith(("resource/", "refused/", "stale/"))}
    return found | {_where(gateway) for gateway in proxies}


def _where(placement: str) -> str:
    """The cluster that proxies are in."""
    name, elsewhere = place_of(placement)
    return elsewhere or name.split("/")[0]


def _stale(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Clusters that their watchers cannot reach, whether or not an object describes them, and since when."""
    return [{"cluster": cluster, "since": since} for cluster, since in stale_since(state).items()]


def _absent(state: dict[str, Any], settings: Settings) -> list[dict[str, Any]]:
    """Clusters that neither the run of this data directory nor a Cluster object names, as far as it is known."""
    watched = noted(settings.data)
    counted = Counter(key.split("/")[1] for key in state if key.startswith("resource/"))
    known = described(state, settings.configuration_cluster)
    there = [] if watched is None else sorted(counted.keys() - watched - known)
    return [{"cluster": one, "objects": counted[one]} for one in there]


def _print(answer: dict[str, Any], *, whole: bool, named: bool) -> None:
    """Lines for a person; each says whose it is where they are of several clusters, `named`."""

    def whose(row: dict[str, Any]) -> str:
        return f"{row['cluster']}: " if named else ""

    _print_log(answer)
    for row in answer["refused"]:
        say(f"refused     {whose(row)}{row['location']}: {row['message']}")
    for row in answer["quarantined"]:
        say(f"quarantined {_guilty(row)} in {row['gateway']}: {row['error'][:300]}")
    for row in answer["pins"]:
        told = f"{what(row)} as of offset {row['to']} by {row['actor']} until {until(row)}: {row['reason']}"
        say(f"pinned      {told}; {len(row['drift'])} objects are otherwise in their cluster")
    found = [(row, one) for row in answer["objects"] for one in row["conditions"]]
    shown = [(row, one) for row, one in found if whole or not is_good(one)]
    for row, one in shown:
        say(f"{whose(row)}{'/'.join(row['ref'].split('/')[2:])}  {line(one)}")
    for row in answer["proxies"]:
        _print_proxy(row, whose(row))
    if not whole and not shown and not any(answer[kind] for kind in ("stale", "refused", "quarantined")):
        say("all objects are as wished")


def _guilty(row: dict[str, Any]) -> str:
    """What a quarantine keeps back: objects that it holds at their last good revisions, or a host of theirs."""
    if host := left_out(row):
        return f"virtual host {host} (left out: requests to it get no route)"
    guilty = held(row)
    more = len(guilty) - _NAMED
    return ", ".join(guilty[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _print_log(answer: dict[str, Any]) -> None:
    """What is amiss of the log, and of who writes it."""
    log = answer["log"]
    if log["behind"]:
        say(f"log         ends at offset {log['last']}, resolved to {log['resolved']}: the resolver is behind")
    for row in answer["absent"]:
        say(f"unwatched   {words(row['cluster'], row['objects'])}")
    for row in answer["stale"]:
        say(f"stale       cluster {row['cluster']} since {row['since']}: its watcher cannot reach it")
    for row in answer["rejected"]:
        many = f"{row['records']} records, the last" if row["records"] > 1 else "the record"
        say(f"rejected    {many} at offset {row['offset']} of the log: {row['reason']}")


def _print_proxy(row: dict[str, Any], whose: str = "") -> None:
    state = "connected" if row["connected"] else "gone"
    state += ", behind" if row["behind"] else ""
    name = "/".join(row["gateway"].split("/")[3:])
    say(f"proxy       {whose}{name}: {state}, runs offset {row['offset']}, admin {row['admin'] or '-'}")
    if row["error"]:
        say(f"            {_rejected(row)}: {row['error'][:300].strip()}")
        if taken(row["error"]):
            say(f"            {remedy(row['error'])}")


def _rejected(row: dict[str, Any]) -> str:
    if row.get("removal"):
        return "rejected a removal (it may hold what is gone: look at this proxy)"
    if row.get("unconfirmed"):
        return "rejected (an isolated Envoy does not confirm it: nothing is quarantined, look at this proxy)"
    return "rejected"
