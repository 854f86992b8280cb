"""The kinds whose statuses are written are those of which the engine tells one, and no others."""

from __future__ import annotations

from engine.derived import ROOTS
from streams.sinks.status.kinds import UNNAMED, WRITTEN

_KGATEWAY = "gateway.kgateway.dev"


def test_every_kind_that_the_engine_tells_of_is_written() -> None:
    assert {(kind.group, kind.name) for kind in WRITTEN} == set(ROOTS)


def test_where_conditions_name_no_controller() -> None:
    exports = ("multicluster.x-k8s.io", "ServiceExport")
    own = ("penstock.dev", "Cluster")
    assert {(_KGATEWAY, "Backend"), (_KGATEWAY, "GatewayExtension"), exports, own} == UNNAMED
