"""A reading of the fold: what queries see of it, and what is derived from that. It keeps no rows."""

from __future__ import annotations

from copy import copy
from typing import Any

from engine.derived import Derived
from engine.graph.graph import Graph
from engine.graph.reader import Resource
from engine.outputs.channels import ON_REQUEST
from engine.ref import Ref
from engine.resolve.certificate import SEALER
from engine.resolve.indexes import INDEXES
from engine.resolve.manifest import passed_fact
from engine.resolve.settings import FACT, EngineSettings
from engine.seal import Sealer
from engine.table import Trunk


class Reading:
    """A graph, and its outputs."""

    def __init__(self, sealer: Sealer, settings: EngineSettings) -> None:
        self.graph = Graph(INDEXES, ON_REQUEST)
        self.derived = Derived(self.graph)
        self.state(FACT, settings)
        self.state(SEALER, sealer)

    def fork(self, trunk: Trunk) -> Reading:
        """A reading that begins as this one, which must be settled."""
        fork = copy(self)
        fork.graph = self.graph.fork(trunk)
        fork.derived = self.derived.fork(fork.graph, trunk)
        return fork

    def state(self, fact: str, value: Any) -> None:
        """Let queries see a fact; None for one that is true no longer."""
        self.graph.state_fact(fact, value)

    def show(self, ref: Ref, resource: Resource | None) -> None:
        """Let queries see a resource, None for that it is not there."""
        self.graph.put(ref, resource)
        self.derived.watch(ref, present=resource is not None)

    def settle(self, tick: str) -> None:
        """Settle, let deadlines that have come pass, forget those that nothing has any more, and settle again."""
        while True:
            self.derived.settle()
            moved = self.derived.deadlines.passed(tick)
            if not moved:
                return
            for time, there in moved:
                self.state(passed_fact(time), value=True if there else None)
