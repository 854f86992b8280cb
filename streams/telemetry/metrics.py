"""Every metric, with what it counts, and how a role tells it; what stands here is the reference. It knows no library.

Few labels, and never one for each object: all series of a process are a few dozen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """As Prometheus has them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """`roles` have it. A counter's name ends with _total, one of seconds with _seconds."""

    name: str
    kind: Kind
    help: str
    roles: tuple[str, ...]
    labels: tuple[str, ...] = ()


_ALL = ("watch", "resolve", "project", "publish", "write-status", "deploy")
_CLUSTER = ("watch", "write-status")

READY = Metric("penstock_ready", Kind.GAUGE, "Whether the role is caught up with the log, as /readyz says.", _ALL)
ACTIVE = Metric(
    "penstock_active",
    Kind.GAUGE,
    "Whether this replica does the work; one that stands by says 0.",
    ("watch", "resolve", "write-status", "deploy"),
)
TAKEOVERS = Metric(
    "penstock_lease_takeovers_total",
    Kind.COUNTER,
    "Times that this replica became the one that holds the Lease.",
    ("watch", "write-status", "deploy"),
)
STAGE = Metric(
    "penstock_stage_seconds",
    Kind.HISTOGRAM,
    "Time of each stage of a change: append (a source's transaction), resolve (from the record's time in the log to "
    "the end of the outputs' transaction), publish (from the outputs' time to the assembled config), acknowledge (from "
    "there to each proxy's acknowledgement), total (from the change set's own time to there). Clocks of several "
    "machines are compared: keep them in step.",
    ("watch", "resolve", "publish"),
    ("stage",),
)
APPENDED = Metric(
    "penstock_changes_appended_total", Kind.COUNTER, "Change sets that the source wrote to the log.", ("watch",)
)
RESOLVED = Metric(
    "penstock_changes_resolved_total",
    Kind.COUNTER,
    "Change sets that were applied and whose outputs were written.",
    ("resolve",),
)
REJECTED = Metric(
    "penstock_records_rejected_total", Kind.COUNTER, "Records of the log that are no change sets.", ("resolve",)
)
UNDELIVERED = Metric(
    "penstock_undelivered_total",
    Kind.COUNTER,
    "Times that the log had to be read since its host (the consumer group) had not delivered all of it: nothing is "
    "lost, but it came some seconds late. After an aborted transaction it may count where nothing was missing.",
    ("resolve",),
)
RESOLVED_OFFSET = Metric(
    "penstock_resolved_offset",
    Kind.GAUGE,
    "Last offset of the log that was resolved; -1 while standing by.",
    ("resolve",),
)
STALE_CLUSTERS = Metric(
    "penstock_clusters_stale",
    Kind.GAUGE,
    "Clusters that their watchers cannot reach: what they said last is served. `penstock status` names them.",
    ("resolve",),
)
PUBLISHED_OFFSET = Metric(
    "penstock_published_offset", Kind.GAUGE, "Last offset of the log that is served; -1 before any.", ("publish",)
)
CONNECTED = Metric("penstock_proxies_connected", Kind.GAUGE, "Streams of proxies that are open.", ("publish",))
BEHIND = Metric(
    "penstock_proxies_behind",
    Kind.GAUGE,
    "Of these, those that have not acknowledged all that is served to them.",
    ("publish",),
)
NACKS = Metric(
    "penstock_nacks_total",
    Kind.COUNTER,
    "Responses that a proxy rejected, by the type of resource.",
    ("publish",),
    ("type",),
)
QUARANTINES = Metric(
    "penstock_quarantines_total", Kind.COUNTER, "Fragments that this publisher put into quarantine.", ("publish",)
)
LIFTED = Metric(
    "penstock_quarantines_lifted_total",
    Kind.COUNTER,
    "Quarantines that this publisher lifted for another Envoy or address.",
    ("publish",),
)
RELISTS = Metric(
    "penstock_watch_relists_total",
    Kind.COUNTER,
    "Listings of a kind after its first: its watch expired, or the API server forgot it.",
    _CLUSTER,
    ("kind",),
)
STATUS_WRITES = Metric("penstock_status_writes_total", Kind.COUNTER, "Statuses that were written.", ("write-status",))
STATUS_FAILURES = Metric(
    "penstock_status_write_failures_total",
    Kind.COUNTER,
    "Writes of a status that the API server did not take, tried again: for a conflict, or another reason.",
    ("write-status",),
    ("reason",),
)
ANSWERS = Metric(
    "penstock_process_answers",
    Kind.GAUGE,
    "Of `penstock run` and `penstock controller`: whether a process of theirs answers.",
    ("run", "controller"),
    ("process",),
)

METRICS = (
    READY, ACTIVE, TAKEOVERS, STAGE, APPENDED, RESOLVED, REJECTED, UNDELIVERED, RESOLVED_OFFSET, STALE_CLUSTERS,
    PUBLISHED_OFFSET, CONNECTED, BEHIND, NACKS, QUARANTINES, LIFTED, RELISTS, STATUS_WRITES, STATUS_FAILURES,
    ANSWERS,
)  # fmt: skip


class Meters:
    """Where a role tells them. This one hears nothing; `streams.telemetry.prometheus` has the one that does.

    `labels` are the values of the metric's labels, in their order.
    """

    def count(self, metric: Metric, *labels: str, amount: int = 1) -> None:
        """Add to a counter."""

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Add to a histogram."""

    def ask(self, metric: Metric, question: Callable[[], float]) -> None:
        """Take a gauge's value from a question, each time that somebody looks."""
