"""A DNS zone (RFC 1035) of the hostnames that are routed: python zone.py BROKERS ZONE FILE

Each hostname of an attached route gets the addresses of the Gateways that it stands at. The file is replaced as a
whole, and only when something in it is otherwise; its serial grows. It needs no memory: each start begins with a
snapshot. What no zone can say is left out, and told on standard error.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import dns.zone

from streams.client import Gateway, Node, Route, graph

_TTL = 60
_NAME_LENGTH = 253
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_SERIAL = re.compile(r"(SOA\s+\S+\s+\S+\s+)(\d+)")


def records(nodes: Iterable[Node], zone: str, left_out: Callable[[str], None] = lambda _: None) -> set[str]:
    """The lines of the hostnames of a zone; `left_out` hears of what cannot be said in one, in words."""
    found, zone = list(nodes), zone.lower()
    addresses = {one.gateway: one.addresses for one in found if isinstance(one, Gateway)}
    hosts: defaultdict[str, set[str]] = defaultdict(set)
    for route in found:
        if isinstance(route, Route):
            values = {address.value for gateway in route.gateways for address in addresses.get(gateway, ())}
            for host in route.hostnames:
                if f".{host.lower()}".endswith(f".{zone}"):
                    hosts[host.lower()] |= values
    lines = set()
    for host, values in hosts.items():
        if not _is_name(host.removeprefix("*.")):
            left_out(f"{host[:300]!r} is left out: it is no name of DNS")
            continue
        data, without = _data(host, values, zone)
        lines |= {f"{host}. {_TTL} IN {one}" for one in data}
        for value, why in without.items():
            left_out(f"{host}: {value[:300]!r} is left out: {why}")
    return lines


def _is_name(text: str) -> bool:
    return len(text) <= _NAME_LENGTH and all(_LABEL.fullmatch(one) for one in text.split("."))


def _data(host: str, values: Iterable[str], zone: str) -> tuple[list[str], dict[str, str]]:
    """What stands at a hostname, and which addresses do not, and why. A CNAME stands alone, if at all."""
    data, names, left_out = [], [], {}
    for value in sorted(values):
        try:
            address = ipaddress.ip_address(value)
            data.append(f"{'A' if address.version == 4 else 'AAAA'} {ipaddress.ip_address(address.packed)}")
        except ValueError:
            names.append(value)
    for value in names:
        name = value.lower().rstrip(".")
        if not _is_name(name) or name == host:
            left_out[value] = "it is neither an address nor another name"
        elif host in (zone, f"ns.{zone}"):
            left_out[value] = "a zone itself and its server cannot be a CNAME"
        elif data:
            left_out[value] = "a CNAME cannot stand beside another record"
        else:
            data.append(f"CNAME {name}.")
    return data, left_out


def text_of(lines: set[str], zone: str, old: str) -> str:
    """The zone's file; the old one when it says the same. Raises dns.exception.DNSException for what is no zone."""
    head = (
        f"{zone}. {_TTL} IN SOA ns.{zone}. hostmaster.{zone}. SERIAL 3600 600 86400 {_TTL}\n{zone}. IN NS ns.{zone}.\n"
    )
    new = head + "".join(f"{line}\n" for line in sorted(lines))
    serial = _SERIAL.search(old)
    if serial is not None and _SERIAL.sub(r"\1SERIAL", old) == new:
        return old
    text = new.replace("SERIAL", str(int(serial[2]) + 1 if serial is not None else 1), 1)
    dns.zone.from_text(text, origin=zone, check_origin=False)
    return text


def replace(path: Path, text: str) -> None:
    """A reader of the file sees the old one or the new one."""
    hidden = path.with_name(f".{path.name}")
    with hidden.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    hidden.replace(path)


async def main(brokers: str, zone: str, path: Path) -> None:
    nodes: dict[str, Node] = {}
    told: set[str] = set()
    async for change in graph(brokers):
        if change.snapshot:
            nodes.clear()
        nodes.update(change.set)
        for name in change.removed:
            nodes.pop(name, None)
        old = path.read_text() if path.exists() else ""
        words: set[str] = set()
        lines = records(nodes.values(), zone, words.add)
        for word in sorted(words - told):
            print(word, file=sys.stderr, flush=True)
        told = words
        text = text_of(lines, zone, old)
        if text != old:
            replace(path, text)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2].rstrip(".").lower(), Path(sys.argv[3])))
