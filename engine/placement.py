"""Where a Gateway has proxies: the Gateway and a cluster, as its text names both; it decides nothing."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from engine.ref import Ref, parse_ref

_AT = "@"
_LATELY = 1_024


class Placement(NamedTuple):
    """The proxies of a Gateway in a cluster.

    `str()` is the Gateway's ref where that is its own cluster, else `REF@CLUSTER`: no part of a ref has an `@`. It is
    the key in `penstock.infra`, and what these proxies prove to be.
    """

    gateway: Ref
    cluster: str

    @property
    def elsewhere(self) -> str:
        """The cluster, "" where it is the Gateway's own."""
        return "" if self.cluster == self.gateway.cluster else self.cluster

    def __str__(self) -> str:
        return placed(str(self.gateway), self.elsewhere)


def placed(name: str, cluster: str) -> str:
    """A name as it is of proxies elsewhere; "" for those of the own cluster."""
    return f"{name}{_AT}{cluster}" if cluster else name


def place_of(name: str) -> tuple[str, str]:
    """The name and the cluster ("" for the own) of `placed`."""
    bare, _, cluster = name.partition(_AT)
    return bare, cluster


@lru_cache(maxsize=_LATELY)
def parse_placement(text: str) -> Placement:
    """Read back `str(Placement)`; raises ValueError when it is none."""
    bare, at, cluster = text.partition(_AT)
    gateway = parse_ref(bare)
    if at and (not cluster or "/" in cluster or _AT in cluster or cluster == gateway.cluster):
        msg = f"not a placement: {text!r} (want cluster/group/kind/namespace/name, or with @CLUSTER another one)"
        raise ValueError(msg)
    return Placement(gateway, cluster or gateway.cluster)


def is_placement(text: str) -> bool:
    """Whether it is the text of one."""
    try:
        parse_placement(text)
    except ValueError:
        return False
    return True
