"""`penstock stream`: the public topics over HTTP, for those without Kafka."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.output import fail
from streams.cli.reading import Brokers, Data

_HOST_PORT = "host:port, with a port from 0 to 65535"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=stream.__doc__)(stream)


def stream(
    listen: Annotated[str, typer.Option(help="host:port; port 0 for one that is free.")] = "127.0.0.1:8089",
    token_file: Annotated[
        Path | None, typer.Option(help="File with the bearer token that readers must bring; needed off loopback.")
    ] = None,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Serve routes, updates and changes as server-sent events: GET /v1/routes, /v1/updates, /v1/changes, /v1/schemas.

    A reader that comes back with Last-Event-ID gets what it has not seen. Ends by Ctrl-C or SIGTERM.
    """
    import asyncio  # noqa: PLC0415

    from streams.cli.logs import configure_logs  # noqa: PLC0415
    from streams.cli.reading import chosen  # noqa: PLC0415
    from streams.cli.roles import said  # noqa: PLC0415
    from streams.cli.schemas import schemas  # noqa: PLC0415
    from streams.main import kafka_log  # noqa: PLC0415
    from streams.ports import LogError  # noqa: PLC0415
    from streams.sse import Serving, serve  # noqa: PLC0415

    host, port = _address(listen)
    token = _token(token_file)
    if not token and not _is_loopback(host):
        fail(f"--listen {listen}: only a loopback address may be open to all: give --token-file", 2)
    settings = chosen(data, brokers)
    configure_logs()
    try:
        serving = Serving(kafka_log(settings), settings.partition, schemas(), token)
        asyncio.run(serve(serving, host, port, lambda address: typer.echo(f"serving on http://{address}")))
    except (LogError, OSError) as error:
        fail(said(error), 3)


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not _is_port(port):
        fail(f"--listen: {listen!r} is none of its values: give {_HOST_PORT}", 2)
    return host.strip("[]"), int(port)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len("65535") and int(text) <= 65535


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token(path: Path | None) -> str:
    """Ends the command when it is not there."""
    if path is None:
        return ""
    try:
        found = path.read_text().strip()
    except OSError as error:
        fail(f"--token-file {path}: {error.strerror}", 2)
    except UnicodeDecodeError:
        fail(f"--token-file {path} is not UTF-8 text: write a token into it", 2)
    if not found:
        fail(f"--token-file {path} is empty: write a token into it", 2)
    return found
