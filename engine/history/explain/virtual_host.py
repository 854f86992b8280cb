"""Which virtual host takes a host, by Envoy's rules of domains.

Source: VirtualHost.domains: exact, then the longest "*.suffix", then the longest "prefix.*", then "*".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def virtual_host(domains: Mapping[str, str], host: str, *, ignore_port: bool) -> str | None:
    """The name of the virtual host; `domains` name them in lower case."""
    found = domain_of(domains, host, ignore_port=ignore_port)
    return None if found is None else domains[found]


def domain_of(domains: Iterable[str], host: str, *, ignore_port: bool) -> str | None:
    """The domain by which a host is taken."""
    known = list(domains)
    name = (without_port(host) if ignore_port else host).lower()
    if name in known:
        return name
    wild = [one for one in known if len(one) > 1 and "*" in one and len(one) <= len(name)]
    suffixes = [one for one in wild if one.startswith("*") and name.endswith(one[1:])]
    prefixes = [one for one in wild if one.endswith("*") and name.startswith(one[:-1])]
    for some in (suffixes, prefixes):
        if some:
            return max(some, key=len)
    return "*" if "*" in known else None


def without_port(host: str) -> str:
    """A host without its port; an address of IPv6 stands in brackets."""
    before, colon, _ = host.rpartition(":")
    return before if colon and "]" not in host[len(before) :] else host
