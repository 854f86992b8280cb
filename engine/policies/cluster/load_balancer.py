"""`loadBalancer`: which host gets a request. What is hashed of it stands in the routes (resolve/backend_config.py)."""

from __future__ import annotations

from typing import Any, Final

from envoy_data_plane.envoy.config.cluster.v3 import (
    ClusterCommonLbConfig,
    LoadBalancingPolicy,
    LoadBalancingPolicyPolicy,
)
from envoy_data_plane.envoy.config.core.v3 import RuntimeDouble
from envoy_data_plane.envoy.extensions.load_balancing_policies.common.v3 import (
    ConsistentHashingLbConfig,
    LocalityLbConfig,
    LocalityLbConfigLocalityWeightedLbConfig,
    LocalityLbConfigZoneAwareLbConfig,
    LocalityLbConfigZoneAwareLbConfigForceLocalZone,
    SlowStartConfig,
)
from envoy_data_plane.envoy.extensions.load_balancing_policies.least_request.v3 import LeastRequest
from envoy_data_plane.envoy.extensions.load_balancing_policies.maglev.v3 import Maglev
from envoy_data_plane.envoy.extensions.load_balancing_policies.random.v3 import Random
from envoy_data_plane.envoy.extensions.load_balancing_policies.ring_hash.v3 import RingHash
from envoy_data_plane.envoy.extensions.load_balancing_policies.round_robin.v3 import RoundRobin
from envoy_data_plane.envoy.type.v3 import Percent

from engine.envoy.shape import Shape
from engine.envoy.typed import extension
from engine.envoy.wire import construct
from engine.graph.reader import Json
from engine.policies.backend_config.feature import Feature, Use, given, span
from engine.resolve.manifest import mapping
from engine.resolve.values import Problem

_SMALLEST, _LARGEST = 1024, 8 * 1024 * 1024
"""Envoy's own sizes of a ring, where nothing is said."""
_CHOICES: Final = 2
_ENDPOINTS, _IN_ZONE = 6, 1
_ALL: Final = 100


def _shape(block: Json, use: Use) -> Shape | Problem:
    if use.finds_hosts:
        return Problem("Invalid", "the backend's cluster chooses hosts itself, by what requests name")
    made = _policy(block, use)
    if isinstance(made, Problem):
        return made
    name, message = made
    type_ = f"envoy.extensions.load_balancing_policies.{name}.v3.{type(message).__name__}"
    policy = construct(
        LoadBalancingPolicyPolicy,
        typed_extension_config=extension(f"envoy.load_balancing_policies.{name}", type_, message),
    )
    threshold = block.get("healthyPanicThreshold")
    common = construct(
        ClusterCommonLbConfig,
        **given(
            healthy_panic_threshold=_percent(threshold) if threshold is not None else None,
            update_merge_window=span(block, "updateMergeWindow"),
            close_connections_on_host_set_change=block.get("closeConnectionsOnHostSetChange"),
        ),
    )
    return Shape(
        {"load_balancing_policy": construct(LoadBalancingPolicy, policies=[policy]), "common_lb_config": common}
    )


def _policy(block: Json, use: Use) -> tuple[str, Any] | Problem:
    locality = given(locality_lb_config=_locality(block))
    if "leastRequest" in block:
        least = mapping(block["leastRequest"])
        choices = least.get("choiceCount", _CHOICES)
        slow = given(slow_start_config=_slow_start(least, use))
        return "least_request", construct(LeastRequest, choice_count=choices, **slow, **locality)
    if "roundRobin" in block:
        slow = given(slow_start_config=_slow_start(mapping(block["roundRobin"]), use))
        return "round_robin", construct(RoundRobin, **slow, **locality)
    if "random" in block:
        return "random", construct(Random, **locality)
    hashed = mapping(block.get("ringHash") or block.get("maglev"))
    by_host = construct(ConsistentHashingLbConfig, use_hostname_for_hashing=True)
    shared: dict[str, Any] = {"consistent_hashing_lb_config": by_host} if hashed.get("useHostnameForHashing") else {}
    if "localityType" in block:
        shared["locality_weighted_lb_config"] = construct(LocalityLbConfigLocalityWeightedLbConfig)
    return _ring(hashed, shared) if "ringHash" in block else ("maglev", construct(Maglev, **shared))


def _ring(block: Json, shared: dict[str, Any]) -> tuple[str, RingHash] | Problem:
    # 0 says no more than nothing does, and Envoy's own rules forbid it.
    least, most = block.get("minimumRingSize") or None, block.get("maximumRingSize")
    if (_SMALLEST if least is None else least) > (_LARGEST if most is None else most):
        text = f"the ring's minimum size ({least or _SMALLEST}) is above its maximum size ({most}): set both"
        return Problem("Invalid", text)
    return "ring_hash", construct(RingHash, **given(minimum_ring_size=least, maximum_ring_size=most), **shared)


def _slow_start(block: Json, use: Use) -> SlowStartConfig | None:
    if "slowStart" not in block:
        return None
    slow = mapping(block["slowStart"])
    aggression, weight = slow.get("aggression"), slow.get("minWeightPercent")
    return construct(
        SlowStartConfig,
        **given(
            slow_start_window=span(slow, "window"),
            aggression=construct(
                RuntimeDouble, default_value=float(aggression), runtime_key=f"upstream.{use.name}.slowStart.aggression"
            )
            if aggression is not None
            else None,
            min_weight_percent=_percent(weight) if weight is not None else None,
        ),
    )


def _locality(block: Json) -> LocalityLbConfig | None:
    if "localityType" in block:
        weighted = construct(LocalityLbConfigLocalityWeightedLbConfig)
        return construct(LocalityLbConfig, locality_weighted_lb_config=weighted)
    local = mapping(mapping(block.get("zoneAware")).get("preferLocal"))
    if "zoneAware" not in block:
        return None
    force = None
    if "force" in local:
        least = mapping(local["force"]).get("minEndpointsInZoneThreshold", _IN_ZONE)
        force = construct(LocalityLbConfigZoneAwareLbConfigForceLocalZone, min_size=least)
    zones = construct(
        LocalityLbConfigZoneAwareLbConfig,
        routing_enabled=_percent(local.get("routingEnabled", _ALL)),
        min_cluster_size=local.get("minEndpointsThreshold", _ENDPOINTS),
        force_local_zone=force,
    )
    return construct(LocalityLbConfig, zone_aware_lb_config=zones)


def _percent(value: int) -> Percent:
    return construct(Percent, value=float(value))


FEATURE: Final = Feature("loadBalancer", _shape)
