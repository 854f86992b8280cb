"""The clusters in which a Gateway has its proxies: its own, or those that it selects from its configuration cluster."""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.graph.reader import Reader
from engine.models.cluster import GROUP
from engine.placement import Placement
from engine.ref import Ref
from engine.resolve.cluster import KIND, cluster_ref, is_name
from engine.resolve.gateway import age, gateway_spec
from engine.resolve.indexes import CLUSTERS
from engine.resolve.manifest import mapping, metadata_of, object_of
from engine.resolve.settings import settings
from engine.resolve.values import Problem

ANNOTATION: Final = "penstock.dev/clusters"
"""Of a Gateway of the configuration cluster: names of clusters, separated by commas, or `*` for all of them."""
_EVERY: Final = "*"
_MOST: Final = 100
"""Clusters of a Gateway: each may have endpoint assignments of its own."""
_SHOWN: Final = 300


class Selection(NamedTuple):
    """What a Gateway selects: clusters, sorted, and what stands against others. `is_made`: it says so itself."""

    clusters: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    is_made: bool = False


def selection(graph: Reader, gateway: Ref) -> Selection:
    """The clusters of a Gateway; without a word, its own.

    As it is written now, whatever of it proxies rejected: an annotation is no revision of its own.
    """
    written = mapping(metadata_of(object_of(graph, gateway)).get("annotations")).get(ANNOTATION)
    if written is None:
        return Selection((gateway.cluster,))
    configuration = settings(graph).configuration_cluster
    if gateway.cluster != configuration:
        where = f"which is {configuration}" if configuration else "of which this domain has none"
        text = f"{ANNOTATION} counts on Gateways of the configuration cluster only, {where}: it runs in its own cluster"
        return Selection((gateway.cluster,), (Problem("NotConfigurationCluster", text),), is_made=True)
    named = list(dict.fromkeys(one for one in (part.strip() for part in str(written).split(",")) if one))
    every = {ref.name for ref in graph.find(CLUSTERS, configuration)} if _EVERY in named else set()
    named = [one for one in named if one != _EVERY]
    problems = []
    odd = sorted(one for one in named if not is_name(one))
    if odd:
        text = f"{ANNOTATION} names {', '.join(odd)[:_SHOWN]}, which no cluster is called"
        problems.append(Problem("InvalidName", text))
    known = sorted(one for one in {*named, *every} if is_name(one))
    unknown = [one for one in known if one != configuration and not graph.get(is_described, one)]
    if unknown:
        # Its proxies stay: an object that was deleted by mistake must not cost a cluster.
        text = f"of {', '.join(unknown)[:_SHOWN]}, which {ANNOTATION} names, there is no Cluster object"
        problems.append(Problem("ClusterNotFound", text))
    taken = [one for one in known if one != gateway.cluster and graph.get(has_its_own, gateway._replace(cluster=one))]
    if taken:
        whose = f"Gateway {gateway.namespace}/{gateway.name} of its own"
        text = f"{', '.join(taken)[:_SHOWN]} has a {whose}, whose proxies have the same names: rename one of both"
        problems.append(Problem("NameTaken", text))
    free = [one for one in known if one not in set(taken)]
    if len(free) > _MOST:
        text = f"{len(free)} clusters are selected: {_MOST} count, those named first, then the oldest"
        problems.append(Problem("TooManyClusters", text))
        free = sorted(_first(graph, configuration, free, named))
    return Selection(tuple(free), tuple(problems), is_made=True)


def _first(graph: Reader, configuration: str, names: list[str], named: list[str]) -> list[str]:
    """As many as count: those named, as they are written, then the oldest. One that comes puts none out.

    Nor does a Cluster object that goes, of those named: their places are the annotation's, not the objects'.
    """
    places = {name: place for place, name in enumerate(named)}

    def rank(name: str) -> tuple[int, tuple[str, Ref]]:
        ref = Ref(configuration, GROUP, KIND, "", name)
        return places.get(name, len(places)), ("", ref) if name in places else graph.get(age, ref)

    return sorted(names, key=rank)[:_MOST]


def is_described(graph: Reader, name: str) -> bool:
    """Whether a Cluster object counts for a cluster; all else of it stops here."""
    ref = cluster_ref(graph, name)
    return ref is not None and object_of(graph, ref) is not None


def has_its_own(graph: Reader, gateway: Ref) -> bool:
    """Whether a Gateway is there that is ours; all else of it stops here."""
    return graph.get(gateway_spec, gateway) is not None


def elsewhere(graph: Reader, gateway: Ref) -> tuple[str, ...]:
    """The clusters, other than its own, in which a Gateway has proxies, sorted."""
    return tuple(one for one in graph.get(selection, gateway).clusters if one != gateway.cluster)


def placements(graph: Reader, gateway: Ref) -> tuple[Placement, ...]:
    """Where a Gateway has its proxies, sorted by cluster."""
    return tuple(Placement(gateway, one) for one in graph.get(selection, gateway).clusters)
