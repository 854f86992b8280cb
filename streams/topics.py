"""The topics: names, keys, partitions, retention; known nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Topic(StrEnum):
    """Topics without their prefix. ACKNOWLEDGED is the changelog of the projections' table."""

    CHANGES = "changes"
    STATE = "state"
    GRAPH = "graph"
    UPDATES = "updates"
    XDS = "xds"
    STATUS = "status"
    INFRA = "infra"
    REPORTS = "reports"
    CONVERGENCE = "convergence"
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    CHECKPOINTS = "checkpoints"
    INDEX = "index"


OUTPUTS = (Topic.STATE, Topic.GRAPH, Topic.UPDATES, Topic.XDS, Topic.STATUS, Topic.INFRA)
"""What the resolver writes, in one transaction an update."""

PROGRESS = "~progress"
"""The last part of a progress record's key: sorts behind everything, is no valid ref."""

CONTROL = "~"
"""Keys that begin so carry no row."""

OPENING = "~opening"
"""The key of the record by which an owner touches every output partition before it reads them."""

DEPLOYER: Final = "~deployer"
"""In penstock.reports the last part of the key under which a deployer tells of a Gateway: the name of no proxy."""

BEAT_SECONDS: Final = 10.0
"""A publisher that has nothing to report writes that it serves, to penstock.reports."""

PART_BYTES: Final = 900 * 1024
"""A larger change set, and a larger record of penstock.updates, travels in parts."""

_COMPACTED = {Topic.STATE, Topic.GRAPH, Topic.XDS, Topic.STATUS, Topic.INFRA, Topic.CONVERGENCE, Topic.ACKNOWLEDGED}
_MESSAGE_BYTES: Final = 16 << 20
"""A resource's state holds its last good revision too: twice a large manifest."""
_DAYS_7_MS = 7 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it is created."""

    name: str
    partitions: int
    config: dict[str, str]


def topic_name(topic: Topic, prefix: str = "penstock") -> str:
    """The name on the broker, such as `penstock.changes`."""
    return f"{prefix}.{topic.value}"


def topic_specs(domains: int, prefix: str = "penstock") -> tuple[TopicSpec, ...]:
    """All topics with one partition a domain."""
    return tuple(TopicSpec(topic_name(topic, prefix), domains, _config(topic)) for topic in Topic)


def _config(topic: Topic) -> dict[str, str]:
    common = {
        "compression.type": "producer",
        "message.timestamp.type": "CreateTime",
        "max.message.bytes": str(_MESSAGE_BYTES),
    }
    if topic in _COMPACTED:
        # A consumer that was away longer than delete.retention.ms takes a new snapshot.
        return common | {
            "cleanup.policy": "compact",
            "min.cleanable.dirty.ratio": "0.3",
            # What is written last is never compacted, and all who read a busy state read that, too. Rows are some 50
            # bytes there: 32 MiB would be 600,000 of them. A segment has to hold the largest message.
            "segment.bytes": str(_MESSAGE_BYTES),
            "segment.ms": str(5 * 60 * 1000),
            # A large state that changes little would else have a segment for each five minutes in which it did.
            "max.compaction.lag.ms": str(3600 * 1000),
            "delete.retention.ms": str(24 * 3600 * 1000),
        }
    retention = str(_DAYS_7_MS) if topic is Topic.REPORTS else "-1"
    return common | {"cleanup.policy": "delete", "retention.ms": retention, "retention.bytes": "-1"}


def key(domain: str, rest: str) -> bytes:
    """A record's key: the domain, then what the topic is keyed by."""
    return f"{domain}/{rest}".encode()


def split_key(raw: bytes) -> tuple[str, str]:
    """Read back `key`: (domain, rest)."""
    domain, _, rest = raw.decode().partition("/")
    return domain, rest
