"""Creates topics, and refuses such as would lose history; it changes none that is there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from streams.ports import LogError, TopicMissing
from streams.topics import TopicSpec

_KNOWN_SECONDS = 10.0
_FOR_EVER = "-1"
"""A limit of time or size by which nothing is deleted."""
_LIMITS = ("retention.ms", "retention.bytes")
_COPIES = 3
"""Of each record, where there are so many brokers."""


async def create(admin: AIOKafkaAdminClient, wanted: Sequence[TopicSpec], brokers: str) -> None:
    """Create what is missing of the topics that are wanted, and look at all of them.

    Raises TopicMissing when one is not as it must be, LogError when one cannot be created, and the client's errors.
    """
    there = set(await admin.list_topics())
    # The client speaks a protocol too old for "as many as the broker is set to".
    copies = min(_COPIES, len((await admin.describe_cluster())["brokers"]))
    missing = [one for one in wanted if one.name not in there]
    new = [NewTopic(one.name, one.partitions, copies, topic_configs=one.config) for one in missing]
    if new:
        _check_created(await admin.create_topics(new))
    await _check_topics(admin, wanted, brokers)


async def check(admin: AIOKafkaAdminClient, wanted: Sequence[TopicSpec], brokers: str) -> None:
    """Look at all that are there; makes none. Raises TopicMissing when one is not as it must be, and the client's."""
    there = set(await admin.list_topics())
    await _check_topics(admin, [one for one in wanted if one.name in there], brokers)


def _check_created(answer: Any) -> None:
    """The client reports what went wrong with each topic only in the answer. Raises LogError."""
    for name, code, *said in answer.topic_errors:
        if code not in {0, TopicAlreadyExistsError.errno}:
            msg = f"{name} cannot be created: {said[0] if said and said[0] else for_code(code).__name__}"
            raise LogError(msg)


async def _partitions(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec]) -> dict[str, int]:
    """How many partitions each topic has; new topics take a moment to be known."""
    deadline = asyncio.get_running_loop().time() + _KNOWN_SECONDS
    while True:
        described = await admin.describe_topics([spec.name for spec in specs])
        found = {one["topic"]: len(one["partitions"]) for one in described}
        if all(found.get(spec.name) for spec in specs) or asyncio.get_running_loop().time() > deadline:
            return found
        await asyncio.sleep(0.05)


async def _check_topics(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec], brokers: str) -> None:
    partitions = await _partitions(admin, specs)
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in specs])
    found = [resource for answer in answers for resource in answer.resources]
    configs = {resource[3]: {entry[0]: entry[1] for entry in resource[4]} for resource in found}
    for spec in specs:
        if partitions.get(spec.name, 0) < spec.partitions:
            msg = f"{spec.name} has {partitions.get(spec.name, 0)} partitions, needs {spec.partitions}: add partitions"
            raise TopicMissing(msg)
        _check_kept(spec, configs.get(spec.name, {}), brokers)


def _check_kept(spec: TopicSpec, config: Mapping[str, str], brokers: str) -> None:
    """Raises TopicMissing when the broker would delete of a topic what must stay; all other limits are the user's."""
    names = ("cleanup.policy", *(_LIMITS if spec.config.get("retention.ms") == _FOR_EVER else ()))
    must = {name: spec.config[name] for name in names}
    wrong = {name: value for name, value in must.items() if config.get(name) != value}
    if not wrong:
        return
    is_so = ", ".join(f"{name}={config.get(name)}" for name in wrong)
    wanted = ",".join(f"{name}={value}" for name, value in wrong.items())
    msg = (
        f"{spec.name} has {is_so}, needs {wanted}: history would be lost. Set it: kafka-configs.sh --bootstrap-server "
        f"{brokers} --alter --entity-type topics --entity-name {spec.name} --add-config {wanted}"
    )
    raise TopicMissing(msg)
