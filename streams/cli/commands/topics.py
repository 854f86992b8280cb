"""`penstock topics`: makes the topics that are missing, before roles that run apart start."""

from __future__ import annotations

import asyncio

import typer

from streams.cli.output import fail
from streams.cli.reading import Brokers, Data, chosen
from streams.ports import LogError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="topics", help=make_topics.__doc__)(make_topics)


def make_topics(data: Data = None, brokers: Brokers = None) -> None:
    """Make the topics that are missing, and look at those that are there. `run` and `controller` do so by themselves.

    Exit code 3 when Kafka does not answer, or a topic is not as it must be.
    """
    from streams.main import kafka_log  # noqa: PLC0415

    settings = chosen(data, brokers)
    try:
        asyncio.run(kafka_log(settings).create_topics(settings.partition + 1))
    except (LogError, OSError) as error:
        fail(str(error), 3)
