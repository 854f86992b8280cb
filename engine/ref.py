"""The identity of a resource, of whatever cluster and kind; it knows nothing of what resources contain."""

from __future__ import annotations

from functools import lru_cache
from sys import intern
from typing import Final, NamedTuple

_LATELY: Final = 1_024
"""Texts whose ref is known: a Gateway's stands in the key of each of its fragments."""


class Ref(NamedTuple):
    """Names one Kubernetes object in one cluster.

    `group` is "" for the core group and `namespace` is "" for objects that live in no namespace. None of the
    parts can contain "/" (Kubernetes object names: RFC 1123), so `str(ref)` can be read back by `parse_ref`.
    Refs sort by cluster, group, kind, namespace, name.
    """

    cluster: str
    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(self)


@lru_cache(maxsize=_LATELY)
def parse_ref(text: str) -> Ref:
    """Read back `str(ref)`; raises ValueError when there are not exactly five parts."""
    parts = text.split("/")
    if len(parts) != len(Ref._fields):
        msg = f"not a ref: {text!r} (want cluster/group/kind/namespace/name)"
        raise ValueError(msg)
    # One text for each word: the same clusters, groups, kinds and namespaces stand in every ref of a domain.
    cluster, group, kind, namespace, name = parts
    return Ref(intern(cluster), intern(group), intern(kind), intern(namespace), name)
