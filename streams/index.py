"""The index of penstock.updates: which of them speak of an object, a namespace, an actor or a host.

A block is of so many updates: hashes of all that they name, and where each is named. It decides nothing: a hash may
stand for two names, so who reads looks at the update itself, and what no block is of is read whole.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from typing import Any, Final

from engine.history.touched import touched
from engine.ref import Ref, parse_ref
from streams.ports import Log, Outgoing, Record, TopicMissing, Writer
from streams.topics import Topic, key
from streams.updates import Whole, decode_update

EVERY: Final = 4_096
"""Updates of a block, at least: as many are read whole behind the last one."""
_TERMS: Final = 65_536
"""Names after which a block ends sooner: it is one record."""
_HEAD: Final = struct.Struct("<4sQQqqII")
_MAGIC: Final = b"idx1"
_GROUP: Final = 16
"""Blocks that are read first, from the end; four times as many each time after."""


@dataclass(frozen=True, slots=True)
class Block:
    """Of the positions `first` to before `following` on penstock.updates.

    They tell of the offsets `lowest` to `highest` of the log. `hashes` are sorted; where what one stands for begins in
    `places`, which count from `first`, `starts` says.
    """

    first: int
    following: int
    lowest: int
    highest: int
    hashes: memoryview
    starts: memoryview
    places: memoryview

    def at(self, term: str) -> Sequence[int]:
        """The positions of the updates that name it, ascending; perhaps some that do not."""
        wanted = hashed(term)
        found = bisect_left(self.hashes, wanted)
        if found == len(self.hashes) or self.hashes[found] != wanted:
            return ()
        return [self.first + one for one in self.places[self.starts[found] : self.starts[found + 1]]]


def hashed(term: str) -> int:
    """64 bits, the same everywhere."""
    return int.from_bytes(blake2b(term.encode(errors="replace"), digest_size=8).digest(), "little")


def object_term(group: str, kind: str, name: str) -> str:
    """What is indexed of an object: of all clusters and namespaces, since a person names neither."""
    return f"object/{group}/{kind}/{name}"


def namespace_term(namespace: str) -> str:
    """What is indexed of a namespace of an object that was changed."""
    return f"namespace/{namespace}"


def host_term(host: str) -> str:
    """What is indexed of a host whose routes changed."""
    return f"host/{host}"


def actor_term(actor: str) -> str:
    """What is indexed of who did it."""
    return f"actor/{actor}"


def terms(update: dict[str, Any]) -> set[str]:
    """All that an update is found by."""
    found = {actor_term(str(update.get("actor", "")))}
    for ref in objects_of(update):
        found |= {object_term(ref.group, ref.kind, ref.name), namespace_term(ref.namespace)}
    told = touched(update["downstream"])
    return found | {host_term(one) for one in (*told.hosts, *told.hosts_gone)}


def objects_of(update: dict[str, Any]) -> set[Ref]:
    """The objects that an update is of: those that its changes name.

    What names none itself (an unpin, a tick, the end of a listing) is of those of which it told the status anew.
    """
    changes = update["changes"]
    names = [change.get(word) for change in changes for word in ("ref", "gateway")]
    if any(not (change.get("ref") or change.get("gateway")) for change in changes):
        names += update["downstream"]["statuses"]
    found = set()
    for name in names:
        with suppress(ValueError):
            found.add(parse_ref(name or ""))
    return found


def is_of_cluster(update: dict[str, Any], cluster: str) -> bool:
    """Whether a cluster's source said it, or nobody's in particular of an object of the cluster; "" for any cluster."""
    said = update.get("cluster")
    return cluster in ("", said) or (not said and any(one.cluster == cluster for one in objects_of(update)))


# -- a block and its bytes --------------------------------------------------------------------------------------------


def encode_block(first: int, following: int, found: Iterable[tuple[int, dict[str, Any]]]) -> bytes:
    """A block of updates with the positions of their first records, ascending; at least one."""
    places: dict[int, array[int]] = defaultdict(lambda: array("I"))
    lowest, highest = -1, -1
    for position, update in found:
        highest = max(highest, update["offset"])
        lowest = update["offset"] if lowest < 0 else min(lowest, update["offset"])
        for term in terms(update):
            places[hashed(term)].append(position - first)
    ordered = sorted(places)
    starts = array("I", accumulate((len(places[one]) for one in ordered), initial=0))
    head = _HEAD.pack(_MAGIC, first, following, lowest, highest, len(ordered), starts[-1])
    return b"".join(
        [head, array("Q", ordered).tobytes(), starts.tobytes(), *(places[one].tobytes() for one in ordered)]
    )


def decode_block(value: bytes | None) -> Block | None:
    """Read back `encode_block`; None for what is none."""
    if value is None or len(value) < _HEAD.size:
        return None
    magic, first, following, lowest, highest, many, all_ = _HEAD.unpack_from(value)
    ends = _HEAD.size + 8 * many
    at = ends + 4 * (many + 1)
    if magic != _MAGIC or not all_ or first >= following or len(value) != at + 4 * all_:
        return None
    view = memoryview(value)
    parts = (view[_HEAD.size : ends].cast("Q"), view[ends:at].cast("I"), view[at:].cast("I"))
    return Block(first, following, lowest, highest, *parts)


# -- on the topic -----------------------------------------------------------------------------------------------------


async def blocks(log: Log, partition: int) -> AsyncGenerator[Block]:
    """The blocks from the last one back, each ending where the one after it begins. Raises LogError.

    None where there is no index yet, or it is not of this penstock.updates.
    """
    try:
        begin, end = await log.ends(Topic.INDEX, partition)
    except TopicMissing:
        return
    _, before = await log.ends(Topic.UPDATES, partition)
    group, known = _GROUP, False
    while end > begin:
        start = max(begin, end - 2 * group)
        found = [block async for block in _between(log, partition, start, end)]
        for block in reversed(found):
            # Two that looked at once may have written the same one: the chain passes over the second.
            if block.following != before and (known or block.following > before):
                continue
            if not known and not await _is_of(log, partition, block):
                return
            yield block
            known, before = True, block.first
        end, group = start, group * 4


async def _is_of(log: Log, partition: int, block: Block) -> bool:
    """Whether its first update is there: penstock.updates may have been made anew since."""
    position = block.first + min(block.places)
    async for record in log.pick(Topic.UPDATES, partition, (position,)):
        value = decode_update(record)
        return value is not None and block.lowest <= value["offset"] <= block.highest
    return position < (await log.ends(Topic.UPDATES, partition))[0]


async def _between(log: Log, partition: int, start: int, end: int) -> AsyncIterator[Block]:
    async for records in log.read(Topic.INDEX, partition, start):
        for record in records:
            if record.offset >= end:
                return
            if (block := decode_block(record.value)) is not None:
                yield block


async def indexed(log: Log, partition: int) -> int:
    """The position on penstock.updates behind the last block; 0 for none. Raises LogError."""
    async for block in blocks(log, partition):
        return block.following
    return 0


async def write_blocks(log: Log, writer: Writer, partition: int, domain: str = "default") -> int:
    """Write a block for each `EVERY` updates that no block is of yet; answers how many. Raises LogError."""
    begin, _ = await log.ends(Topic.UPDATES, partition)
    done, filling = 0, _Filling(max(begin, await indexed(log, partition)))
    async for records in log.read(Topic.UPDATES, partition, filling.first):
        for record in records:
            filling.take(record)
            if filling.is_full():
                name = key(domain, str(filling.first))
                await writer.write([Outgoing(Topic.INDEX, partition, name, filling.block())])
                done, filling = done + 1, _Filling(filling.following)
    return done


class _Filling:
    """Updates of one block as they come: it ends between two updates, never in one."""

    def __init__(self, first: int) -> None:
        self.first = self.following = first
        self._whole = Whole()
        self._found: list[tuple[int, dict[str, Any]]] = []
        self._terms = 0

    def take(self, record: Record) -> None:
        """Add a record of penstock.updates."""
        for update in self._whole.take((record,)):
            self._found.append((self._whole.began, update))
            self._terms += len(update["changes"]) + len(update["downstream"]["fragments"]["set"])
            self.following = record.offset + 1

    def is_full(self) -> bool:
        """Whether it is worth a block, or must not grow."""
        return len(self._found) >= EVERY or self._terms > _TERMS

    def block(self) -> bytes:
        """Its bytes."""
        return encode_block(self.first, self.following, self._found)
