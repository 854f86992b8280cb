"""Which object set what: the metadata that Envoy's messages carry, and the refs that fragments know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from betterproto2 import Message
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.core.v3 import Metadata

from engine.history.explain.config import Config
from engine.history.explain.evaluator import Table
from engine.policies.features import FEATURES
from engine.ref import Ref
from engine.update import Fragment, FragmentKind

_MERGED: Final = "merge."
_FILTERS: Final[dict[str, str]] = {one.name: field for field, feature in FEATURES.items() for one in feature.filters}
"""The field of TrafficPolicy that brings a filter."""


class Set(NamedTuple):
    """A field that an object set, and where; `over`: those farther away whose same field it keeps out."""

    field: str
    place: str
    objects: tuple[str, ...]
    over: tuple[str, ...] = ()


def field_of(filter_name: str) -> str:
    """The field of TrafficPolicy that a filter does, or the filter's own name."""
    return _FILTERS.get(filter_name, "cors" if filter_name.endswith(".cors") else filter_name)


def fields_of(message: Message | None) -> dict[str, tuple[str, ...]]:
    """Whose field each is, by the metadata of a message: `Kind namespace/name`."""
    metadata: Metadata | None = getattr(message, "metadata", None)
    found: dict[str, tuple[str, ...]] = {}
    for name, struct in sorted(metadata.filter_metadata.items()) if metadata is not None else ():
        if name.startswith(_MERGED):
            for field, value in sorted(struct.fields.items()):
                texts = [one.string_value or "" for one in value.list_value.values] if value.list_value else []
                found[field] = tuple(_short(one) for one in texts)
    return found


def _short(text: str) -> str:
    """`group/Kind/namespace/name` as a person writes it."""
    parts = text.split("/")
    return f"{parts[1]} {parts[2]}/{parts[3]}" if len(parts) == 4 else text


def policies(table: Table, route: Message | None) -> tuple[Set, ...]:
    """Fields of policies, the nearest place first; of one field only the nearest counts."""
    places = (("route", route), ("virtual host", table.host), ("route configuration", table.route_config))
    nearest: dict[str, Set] = {}
    for place, message in places:
        for field, objects in fields_of(message).items():
            if field in nearest:
                nearest[field] = nearest[field]._replace(over=(*nearest[field].over, *objects))
            else:
                nearest[field] = Set(field, place, objects)
    return tuple(nearest[one] for one in sorted(nearest))


def of_cluster(config: Config, cluster: str) -> tuple[Set, ...]:
    """Fields of policies that made a cluster what it is."""
    found: Cluster | None = config.message(FragmentKind.CLUSTER, cluster)
    return tuple(Set(field, f"cluster {cluster}", objects) for field, objects in fields_of(found).items())


def objects(fragments: Iterable[Fragment | None]) -> tuple[Ref, ...]:
    """All that fragments were derived from, each once.

    Of the generations that stand there only a route's is what a quarantine fell back to: `Revisions` tells them all.
    """
    return tuple(dict.fromkeys(ref for one in fragments if one is not None for ref, _ in one.provenance))


def source(route: Message) -> str:
    """The rule that a route is of, by its metadata."""
    metadata: Metadata | None = getattr(route, "metadata", None)
    struct = metadata.filter_metadata.get("penstock.dev/route") if metadata is not None else None
    if struct is None:
        return ""
    said: Mapping[str, Any] = struct.fields
    words = {name: said[name].string_value for name in ("kind", "namespace", "name")}
    return f"{words['kind']} {words['namespace']}/{words['name']} rule {int(said['rule'].number_value or 0)}"
