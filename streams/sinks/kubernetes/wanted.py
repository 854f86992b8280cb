"""What penstock.infra wants in one cluster, by the name of its objects; how it is deployed it does not know."""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from engine.placement import Placement, parse_placement
from engine.resolve.proxy import proxy_name
from streams.codec import decode_object
from streams.sinks.kubernetes.proxy import Proxy, read_proxy
from streams.view import Batch

_LOG = structlog.get_logger()

Key = tuple[str, str]
"""Namespace and name of a Gateway's objects."""


@dataclass(slots=True)
class Rows:
    """The placements of one cluster.

    A Gateway of the cluster's own and one that is placed there have the same objects, where they have the same
    namespace and name. While both have a row, as they may for as long as one takes over from the other, its own counts.
    """

    cluster: str
    placed: dict[Key, dict[Placement, Proxy]] = field(default_factory=dict)

    def take(self, batch: Batch) -> dict[Key, Proxy | None]:
        """The proxy that is wanted now of each name that a batch tells of, None for none; garbage tells of nothing."""
        told: set[Key] = set()
        if batch.snapshot:
            told |= self.placed.keys()
            self.placed.clear()
        for text, record in batch.rows.items():
            try:
                placement = parse_placement(text)
                proxy = read_proxy(decode_object(record) or {}) if record is not None else None
            except ValueError as error:
                _LOG.error("a record of penstock.infra is left out", key=text[:200], reason=str(error))
                continue
            if placement.cluster == self.cluster:
                told.add(self._place(placement, proxy))
        return {key: self._counting(key) for key in told}

    def _place(self, placement: Placement, proxy: Proxy | None) -> Key:
        key = placement.gateway.namespace, proxy_name(placement.gateway.name)
        there = self.placed.setdefault(key, {})
        if proxy is None:
            there.pop(placement, None)
        else:
            there[placement] = proxy
        if not there:
            del self.placed[key]
        return key

    def _counting(self, key: Key) -> Proxy | None:
        there = self.placed.get(key, {}).values()
        return min(there, key=lambda one: (not one.is_own, str(one.placement)), default=None)
