"""A DNS zone (RFC 1035) of the hostnames that are routed: python zone.py BROKERS ZONE FILE

Each hostname of an attached route gets the addresses of the Gateways that it stands at. The file is replaced as a
whole, and only when something in it is otherwise; its serial grows. It needs no memory: each start begins with a
snapshot.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import dns.zone

from streams.client import Gateway, Node, Route, graph

_TTL = 60
_SERIAL = re.compile(r"(SOA\s+\S+\s+\S+\s+)(\d+)")


def records(nodes: Iterable[Node], zone: str) -> set[str]:
    """The lines of the hostnames of a zone."""
    found = list(nodes)
    addresses = {one.gateway: one.addresses for one in found if isinstance(one, Gateway)}
    lines = set()
    for route in found:
        if not isinstance(route, Route):
            continue
        values = {address.value for gateway in route.gateways for address in addresses.get(gateway, ())}
        for host in route.hostnames:
            if host == zone or host.endswith(f".{zone}"):
                lines |= {f"{host}. {_TTL} IN {_data(value)}" for value in values}
    return lines


def _data(value: str) -> str:
    try:
        return f"{'A' if ipaddress.ip_address(value).version == 4 else 'AAAA'} {value}"
    except ValueError:
        return f"CNAME {value}."


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
    async for change in graph(brokers):
        if change.snapshot:
            nodes.clear()
        nodes.update(change.set)
        for name in change.removed:
            nodes.pop(name, None)
        old = path.read_text() if path.exists() else ""
        text = text_of(records(nodes.values(), zone), zone, old)
        if text != old:
            replace(path, text)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2].rstrip("."), Path(sys.argv[3])))
