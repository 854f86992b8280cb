"""Asks an Envoy that is started apart from everything whether it takes a piece of config; it decides nothing more.

Its bootstrap is the one that proxies are given, so that references over ADS have where to go; nothing is bound,
connected or served in validate mode.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.envoy.wire import frame
from engine.fields import Malformed, fields
from engine.seal import Sealer
from engine.update import Fragment, FragmentKind
from streams.sinks.bootstrap import bootstrap
from streams.xds.admission import clear
from streams.xds.exhibits import (
    chainless_listener,
    listener_of,
    static_cluster,
    terminating_listener,
    trusting_cluster,
    whole,
)
from streams.xds.lineup import Lineup

_KEY = "PENSTOCK_JUDGED_KEY"
_MEMORY = "/dev/shm"  # noqa: S108  a directory of our own, readable for us alone, is made in it
"""Files there are in memory (Linux)."""
_VERSION = re.compile(rb"version: [^/\s]*/(\d+\.\d+\.\d+)")
_WORDS = re.compile(r"error initializing configuration '[^']*': (.*)", re.DOTALL)
_WORDS_BYTES = 4 << 10
SECRET_WORDS = "it holds secrets, so that Envoy's words are not shown"
_STATIC = 2
"""Bootstrap.static_resources: listeners=1, clusters=2, secrets=3."""
_VALIDATION = 4
"""Secret.validation_context: authorities, where others have a certificate with its key."""


class Undecided(OSError):  # noqa: N818
    """The isolated Envoy gave no answer that says anything of the config: the message names why."""


@dataclass(frozen=True, slots=True)
class Case:
    """What an isolated Envoy is started with: static resources as bytes, and a private key that must not be on disk.

    Nor must `secret` resources, which are left in memory where the system has a place for them there.
    """

    static: bytes = b""
    key: bytes | None = None
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Court:
    """One Envoy binary that is asked. Every method raises Undecided (an OSError) when it cannot say.

    `seconds` is how long it may take to answer once, `lanes` how many of it run at once.
    """

    envoy: Path
    sealer: Sealer
    seconds: float = 30.0
    lanes: int = field(default_factory=lambda: os.cpu_count() or 1)
    _free: asyncio.Semaphore = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_free", asyncio.Semaphore(self.lanes))

    async def version(self) -> str:
        """Envoy's version, such as "1.40.0"; "" when it does not say."""
        with tempfile.TemporaryDirectory(prefix="penstock-judge-") as directory:
            said = Path(directory) / "said"
            with said.open("wb") as out:
                process = await asyncio.create_subprocess_exec(
                    self.envoy, "--version", stdin=asyncio.subprocess.DEVNULL,
                    stdout=out, stderr=asyncio.subprocess.DEVNULL,
                )  # fmt: skip
                await _ended(process, self.seconds)
            with said.open("rb") as told:
                found = _VERSION.search(told.read(_WORDS_BYTES))
        return found[1].decode() if found is not None else ""

    async def refuses(self, fragment: Fragment) -> bool:
        """Whether a cluster, assignment, listener, its chain or a certificate is refused though the rest is well."""
        try:
            case = await asyncio.to_thread(self.case, fragment)
        except Malformed:
            return True
        return not await self._takes(case) and await self._is_able()

    async def guilty(self, heads: Sequence[Fragment], suspects: Sequence[Fragment]) -> list[Fragment]:
        """What of a table is refused: its own bytes (one head, or none), or else which of its virtual hosts and routes.

        Of several that have an object in common one is named.
        """
        lineup = Lineup(lambda some: self._takes_routes(heads, some), self.lanes)
        is_taken, is_head_taken = await lineup.taken(suspects, ())
        if not is_head_taken:
            # Behind a bad head everything looks bad: what stands below it is judged once the head is mended.
            return list(heads) if await self._is_able() else []
        # The same Envoy has just taken the head alone, so that its refusals count.
        return [] if is_taken else await lineup.guilty(suspects)

    async def _is_able(self) -> bool:
        """A refusal counts only where the same Envoy takes a config with nothing in it."""
        if await self._takes(Case()):
            return True
        msg = f"{self.envoy} refuses even an empty config here"
        raise Undecided(msg)

    def case(self, fragment: Fragment) -> Case:
        """A piece of config with what has to stand around it; none of a table. Raises Malformed."""
        body = clear(fragment, self.sealer)
        match fragment.key.kind:
            case FragmentKind.CLUSTER:
                return Case(frame(2, body), secret=fragment.sealed)
            case FragmentKind.ENDPOINTS:
                return Case(frame(2, static_cluster(frame(33, body))), secret=fragment.sealed)
            case FragmentKind.SECRET:
                if any(number == _VALIDATION for number, _ in fields(body)):
                    return Case(frame(3, body) + frame(2, trusting_cluster(fragment.key.name)))
                secret, key = _without_key(body)
                return Case(frame(3, secret) + frame(1, terminating_listener(fragment.key.name)), key)
            case FragmentKind.FILTER_CHAIN:
                return Case(frame(1, chainless_listener(frame(3, body))), secret=fragment.sealed)
            case _:
                return Case(frame(1, whole(body)), secret=fragment.sealed)

    async def _takes_routes(self, heads: Sequence[Fragment], some: Sequence[Fragment]) -> bool:
        async with self._free:
            return not await self._refusal(await asyncio.to_thread(table_case, heads, some, self.sealer))

    async def refusal(self, case: Case) -> str:
        """Why a config is refused, in Envoy's words, none of which are of a secret; "" when it is taken."""
        async with self._free:
            return await self._refusal(case)

    async def _takes(self, case: Case) -> bool:
        return not await self.refusal(case)

    async def _refusal(self, case: Case) -> str:
        base = bootstrap("judged", "judge", "/nowhere", "")
        del base["admin"]
        environment = dict(os.environb)
        if case.key is not None:
            environment[_KEY.encode()] = case.key
        memory = _MEMORY if case.secret and os.access(_MEMORY, os.W_OK) else None
        with tempfile.TemporaryDirectory(prefix="penstock-judge-", dir=memory) as directory:
            path, said = Path(directory) / "case.pb", Path(directory) / "said"
            path.write_bytes(frame(_STATIC, case.static))
            with said.open("wb") as out:
                process = await asyncio.create_subprocess_exec(
                    self.envoy, "--mode", "validate", "-c", path, "--config-yaml", json.dumps(base),
                    "--log-level", "critical", "--disable-hot-restart", env=environment,
                    stdout=asyncio.subprocess.DEVNULL, stderr=out,
                )  # fmt: skip
                code = await _ended(process, self.seconds)
            with said.open("rb") as told:
                text = told.read(_WORDS_BYTES).decode(errors="replace")
        if code < 0:
            msg = f"{self.envoy} ended by signal {-code}"
            raise Undecided(msg)
        if code == 0:
            return ""
        if case.secret or case.key is not None:
            return SECRET_WORDS
        found = _WORDS.search(text)
        return (found[1] if found is not None else text).strip() or f"it ends with {code}"


async def _ended(process: asyncio.subprocess.Process, seconds: float) -> int:
    try:
        # Not wait_for: being cancelled in the moment of an answer is lost in it, and the publisher would never end.
        async with asyncio.timeout(seconds):
            return await process.wait()
    except TimeoutError:
        msg = f"the isolated Envoy said nothing within {seconds:.0f} s"
        raise Undecided(msg) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def table_case(heads: Sequence[Fragment], suspects: Sequence[Fragment], sealer: Sealer) -> Case:
    """A table of the suspects alone."""
    hosts = {one.key.name: one for one in suspects if one.key.kind is FragmentKind.VIRTUAL_HOST}
    routes: dict[str, list[Fragment]] = {}
    for one in suspects:
        if one.key.kind is FragmentKind.ROUTE:
            routes.setdefault(one.parent, []).append(one)
    parts = [clear(one, sealer) for one in heads]
    for name in sorted(hosts):
        inside = b"".join(frame(3, clear(one, sealer)) for one in routes.pop(name, []))
        parts.append(frame(2, clear(hosts[name], sealer) + inside))
    for number, group in enumerate(routes[name] for name in sorted(routes)):
        # Routes are judged without their virtual host: one bad host must not make its routes look bad.
        host = frame(1, f"judged-{number}".encode()) + frame(2, f"judged-{number}.invalid".encode())
        parts.append(frame(2, host + b"".join(frame(3, clear(one, sealer)) for one in group)))
    # RouteConfiguration.validate_clusters=7 is false: clusters are not here.
    is_secret = any(one.sealed for one in (*heads, *suspects))
    return Case(frame(1, listener_of(b"".join(parts) + frame(7, b""))), secret=is_secret)


def _without_key(secret: bytes) -> tuple[bytes, bytes | None]:
    """A Secret whose private key comes from the environment: nothing secret is written to a file. Raises Malformed."""
    # Secret.tls_certificate=2, TlsCertificate.private_key=2, DataSource: inline_bytes=2, environment_variable=4.
    kept, key = b"", None
    for number, value in fields(secret):
        if number != 2 or isinstance(value, int):
            kept += _again(number, value)
            continue
        pair = b""
        for at, one in fields(value):
            if at != 2 or isinstance(one, int):
                pair += _again(at, one)
                continue
            found = dict(fields(one)).get(2)
            if not isinstance(found, bytes) or b"\0" in found:
                msg = "the private key is no text"
                raise Malformed(msg)
            key = found
            pair += frame(2, frame(4, _KEY.encode()))
        kept += frame(2, pair)
    return kept, key


def _again(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        msg = "a number where a message must be"
        raise Malformed(msg)
    return frame(number, value)
