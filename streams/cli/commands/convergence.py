"""`penstock convergence`: which offset each proxy runs, how long changes took until proxies had them, and who lags."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.placement import parse_placement, placed
from streams.cli.output import Format, emit, fail, table
from streams.cli.reading import Brokers, Cluster, Data, Output, chosen, with_log
from streams.clock import seconds_of
from streams.lag import lag, lowest, recent
from streams.ports import Log
from streams.view import read_convergence

if TYPE_CHECKING:
    from streams.lag import Recent

_COLUMNS = ("gateway", "proxy", "state", "runs", "behind", "for", "p50", "p90", "p99", "max", "envoy")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=convergence.__doc__)(convergence)


def convergence(
    gateway: Annotated[str | None, typer.Argument(help="Only this one: NAME or NAMESPACE/NAME of a Gateway.")] = None,
    cluster: Cluster = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Print of each gateway and proxy the offset that it runs, who lags, and how long changes took to be acknowledged.

    Behind are changes of the gateway that the proxy has not acknowledged; since when the oldest of them waits is told
    in seconds. Percentiles are of the latest acknowledgements of the gateway's connected proxies, in milliseconds from
    the change's own time. Exit code 1: the named gateway is not there.
    """
    settings = chosen(data, brokers, cluster)

    async def work(log: Log, partition: int) -> list[dict[str, Any]]:
        found = await read_convergence(log, partition)
        mine = {name: row for name, row in found.items() if is_meant(name, gateway, settings.cluster)}
        there = await recent(log, partition, lowest(mine.values()))
        return [_row(name, row, there) for name, row in mine.items()]

    shown = with_log(settings, work)
    if gateway is not None and not shown:
        fail(f"no proxy of Gateway {gateway} was ever connected, or it is deleted: see `penstock get gateways`", 1)
    if output is Format.TABLE:
        table(_COLUMNS, [line for row in shown for line in _lines(row)])
    else:
        emit(shown, output)


def is_meant(ref: str, gateway: str | None, cluster: str) -> bool:
    """Whether a Gateway, or its placement, is named NAME or NAMESPACE/NAME, if any, in that cluster, if any."""
    found, there = parse_placement(ref)
    names = {found.name, f"{found.namespace}/{found.name}"}
    names |= {f"{one}@{there}" for one in names}
    return cluster in ("", found.cluster, there) and (gateway is None or gateway in names)


def _row(gateway: str, row: Mapping[str, Any], found: Recent) -> dict[str, Any]:
    proxies = []
    for name, proxy in sorted(row["proxies"].items()):
        missing = lag(found.touches, gateway, proxy["offset"])
        at_least = {} if found.is_whole else {"at_least": True}
        behind = {"changes": missing.changes, "since": missing.since, **at_least}
        proxies.append({"proxy": name, **proxy, "behind": behind})
    told = ("lowest", "acknowledged", "latency", "undeployed")
    return {"gateway": gateway, "resolved": found.resolved, **{one: row[one] for one in told}, "proxies": proxies}


def _lines(row: Mapping[str, Any]) -> list[tuple[object, ...]]:
    ref, cluster = parse_placement(row["gateway"])
    name = placed(f"{ref.cluster}:{ref.namespace}/{ref.name}", cluster if cluster != ref.cluster else "")
    took = row["latency"] or {}
    times = tuple(f"{took[one]} ms" if took else "-" for one in ("p50", "p90", "p99", "max"))
    if not row["proxies"]:
        return [(name, "-", "none", "-", "-", "-", *times, "-")]
    return [(name, one["proxy"], *_state(one), *times, one["envoy"] or "-") for one in row["proxies"]]


def _state(proxy: Mapping[str, Any]) -> tuple[object, ...]:
    state = "connected" if proxy["connected"] else "gone"
    if proxy["error"]:
        state += ", odd: rejects what others take" if proxy.get("unconfirmed") else ", rejects"
    behind = proxy["behind"]
    many = f"{behind['changes']}{'+' if behind.get('at_least') else ''}"
    return state, proxy["offset"], many, _waits(behind["since"])


def _waits(since: str | None) -> str:
    if since is None:
        return "-"
    try:
        return f"{max(0.0, datetime.now(UTC).timestamp() - seconds_of(since)):.1f} s"
    except ValueError:
        return "?"
