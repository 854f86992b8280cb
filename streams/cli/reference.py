"""The reference pages, made from what the code says: `python -m streams.cli.reference` writes them."""

from __future__ import annotations

from pathlib import Path

import typer

from streams.cli.application import app
from streams.cli.compatibility import page
from streams.cli.schemas import asyncapi, schema_pages
from streams.settings import Settings
from streams.telemetry.metrics import METRICS
from streams.topics import topic_specs

DIRECTORY = Path(__file__).parents[2] / "docs" / "reference"

_UPDATES = """
## What others may read

`penstock.changes`, `penstock.updates` and `penstock.graph` are public
([consume the stream](../how-to/consume-the-stream.md)).
Their records are CloudEvents (Kafka binding, binary mode): headers `ce_specversion`, `ce_id`, `ce_source`, `ce_type`,
`ce_time`, `ce_dataschema` and `content-type`; what was written before there were any has none. Of a removal (no value)
there is no `ce_dataschema`. Keys whose part behind the domain begins with `~` are no events: `~progress` closes an
update on `penstock.graph`, and says its offset. The values' [JSON Schemas](schemas/) have versions: within one, only
what a reader may pass over comes. [asyncapi.yaml](asyncapi.yaml) says all of it for machines.

## penstock.graph

A value is JSON, a node of the resolved routing graph, its key `domain/` and `route/OBJECT`, `gateway/OBJECT`,
`listener/GATEWAY/NAME` or `backend/OBJECT/PORT/GATEWAY`. Pass over kinds that you do not know. An object is
`cluster/group/kind/namespace/name`.
## penstock.updates

A value is JSON: `offset`, `time`, `cluster`, `source`, `actor` and `engine` of what was applied, `changes` (each a
`verb` with what it names), `routing` (each a `node` of penstock.graph with its `verb`, added, changed or removed, and
the node itself `before` and `after`, both left out where they are larger than 64 KiB together), and `downstream`, the
names of the `fragments` and `nodes` `set` and `removed` and of the `statuses`. A large update
is several records one behind the other in one transaction, each under 900 KiB: `part`
counts from 0 to below `parts`, the header `offset` is the same in all, the header `index` grows. Their lists, one after
the other in this order, are the whole update's. Most updates have one part.

## penstock.convergence

The key is that of penstock.infra. A value is JSON: `gateway`, the key's text, `proxies` by name (each with the `offset`
that it acknowledged whole, whether it is `connected`, the `error` that it said last, its `envoy`), `lowest`, the lowest
offset of the connected, `acknowledged`, the greatest that all of them ever had, `undeployed`, why proxies cannot be
deployed, and `latency`: `p50`, `p90`, `p99` and `max` in milliseconds, from the change set's own time to the
acknowledgement, of the oldest change in each of the latest 32 acknowledgements of each connected proxy, `many` in all;
null while there are none.

## Signatures

Where its writer has a key ([sign changes](../how-to/sign-changes.md)), each record of `penstock.changes` has a header
`signature`: an ed25519 public key in base64, a number that rises with each record of the key, and the signature in
base64, with a space between. Signed is a blake2b hash of 32 bytes, personalised with `penstock.change1`, of the public
key's text, the number's text and the record's value, each after its length as 8 bytes, the most significant first.

## Traces

Where a role is told to trace ([monitor](../how-to/monitor.md)), the header `ce_traceparent` (W3C Trace Context, as the
CloudEvents extension Distributed Tracing has it) goes with a change set, with the progress records that close its
update, and with the reports of proxies that acknowledge it. It is of the moment: no value, row or digest depends on it.

## penstock.infra

The key is a Gateway and, after an `@`, the cluster that its proxies are wanted in, where that is not its own
([place gateways](../how-to/place-gateways.md)): `east/gateway.networking.k8s.io/Gateway/default/edge@west`. A value is
JSON: the proxies wanted there. `gateway` is the key's text, by which they name themselves to the publisher, too;
`name`, `namespace`, `class` are the Gateway's; `proxy`, the name of their objects; `ports`, each a `port` with its
`protocol`; `labels` and `annotations` of `spec.infrastructure`; `addresses`, the IP addresses that it asks for;
`parameters`, `spec.kube` of the GatewayParameters of the Gateway over its class's, and `overlays`, their patches in
order. With `held` (text) nothing about the proxies may be changed, and none begun: their parameters cannot be resolved.
A Gateway whose proxies somebody else runs has no row.
"""


def pages() -> dict[str, str]:
    """File name -> text of every page."""
    return {
        "settings.md": _settings(),
        "topics.md": _topics(),
        "commands.md": _commands(),
        "metrics.md": _metrics(),
        "kgateway.md": page(),
        "asyncapi.yaml": asyncapi(),
        **schema_pages(),
    }


def _settings() -> str:
    lines = ["# Settings", "", "Each is an environment variable.", ""]
    lines += ["| name | default | what it is |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "") else f"`{field.default}`"
        lines.append(f"| `PENSTOCK_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def _topics() -> str:
    lines = ["# Topics", "", "One partition a domain.", "", "| topic | configuration |", "|---|---|"]
    for spec in topic_specs(1):
        config = ", ".join(f"{name}={value}" for name, value in sorted(spec.config.items()))
        lines.append(f"| `{spec.name}` | {config} |")
    return "\n".join(lines) + "\n" + _UPDATES


def _metrics() -> str:
    lines = [
        "# Metrics",
        "",
        "At `/metrics` of `PENSTOCK_HEALTH_LISTEN`, for Prometheus. Every series has the label `role`, and `cluster`",
        "where the role is for one; a series is there once there was something to tell. Each process tells of its",
        "memory, CPU time and files, too (`process_*`).",
        "",
        "| metric | kind | labels | roles | what it is |",
        "|---|---|---|---|---|",
    ]
    for one in METRICS:
        labels, roles = (", ".join(f"`{name}`" for name in names) for names in (one.labels, one.roles))
        lines.append(f"| `{one.name}` | {one.kind} | {labels} | {roles} | {one.help} |")
    return "\n".join(lines) + "\n"


def _commands() -> str:
    commands = getattr(typer.main.get_command(app), "commands", {})
    lines = ["# Commands", ""]
    lines.append(
        "Exit codes: 0 done, 1 not accepted or not found, 2 wrong words, 3 something is not there, 4 another watcher "
        "of the cluster took over, 6 not in time, 130 Ctrl-C, 141 nobody reads what is printed any more."
    )
    for name, command in sorted(commands.items()):
        context = typer.Context(command, info_name=f"penstock {name}")
        lines += ["", f"## penstock {name}", "", (command.help or "").strip(), ""]
        for parameter in command.get_params(context):
            shown = ", ".join(f"`{one}`" for one in parameter.opts)
            help_ = getattr(parameter, "help", "") or ""
            if "--help" not in parameter.opts:
                lines.append(f"- {shown}: {help_}")
    return "\n".join(lines) + "\n"


def write() -> None:
    """Write every page."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (DIRECTORY / name).parent.mkdir(parents=True, exist_ok=True)
        (DIRECTORY / name).write_text(text)


if __name__ == "__main__":
    write()
