"""Hostnames: intersection and which listener owns a name; "" stands for any."""

from __future__ import annotations

from collections.abc import Iterable


def covers(pattern: str, hostname: str) -> bool:
    """Whether all that `hostname` (exact or "*.x") names is also named by `pattern` ("" is any)."""
    if not pattern or pattern == hostname:
        return True
    return pattern.startswith("*.") and len(hostname) > len(pattern) - 1 and hostname.endswith(pattern[1:])


def intersection(listener: str, route: str) -> str | None:
    """What a listener's and a route's hostname have in common; None for nothing (Gateway API, HTTPRoute.hostnames)."""
    if covers(listener, route):
        return route
    return listener if covers(route, listener) else None


def specificity(pattern: str) -> tuple[int, int]:
    """Sorts listener hostnames: exact above wildcard above any, longer above shorter."""
    if not pattern:
        return (0, 0)
    return (1 if pattern.startswith("*.") else 2, len(pattern))


def owner(hostname: str, patterns: Iterable[str]) -> str | None:
    """The most specific of the listener hostnames that covers `hostname`; it alone serves it (listener isolation)."""
    covering = [pattern for pattern in patterns if covers(pattern, hostname)]
    return max(covering, key=specificity) if covering else None


def is_certified(hostname: str, names: Iterable[str]) -> bool:
    """Whether a certificate of these names is for a listener's hostname, or for some host below a wildcard one.

    A certificate's wildcard stands for one label (RFC 9525, 6.3).
    """
    return not hostname or any(
        covers(hostname, name) or (name.startswith("*.") and hostname.partition(".")[2] == name[2:]) for name in names
    )
