"""A golden case: its files, read strictly, and what the engine makes of its input. It plays nothing."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from betterproto2 import Message
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import Secret
from pydantic import BaseModel, ConfigDict, Field

from engine.engine import Engine, EngineSettings
from engine.envoy.wire import encode
from engine.events import Admitted, ChangeSet, Delete, Put, Refused, Tick
from engine.history.resource import MESSAGES as UNSEALED
from engine.observed import configuration_ref, observation
from engine.policies.features import STANDING
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from engine.status.programmed import programmed
from engine.templates import runtime
from engine.update import Fragment, FragmentKind, Update
from streams.sources.directory import Directory
from streams.sources.stamp import stamped

CASES = Path(__file__).parent / "cases"
_KEY = bytes(range(KEY_BYTES))
LOG_FILE = "/tmp/golden-log"
"""Stands in inputs for a file that every run has for itself."""
NOW = "2026-11-24T12:00:00.000Z"
STEPS = ("before.yaml", "input.yaml")
OTHER = ".cluster.yaml"
"""How the name of a file ends that has the input of another cluster."""
OBSERVED = "observed.yaml"
"""What issuers say of themselves, by their URI: it is found out after all that is written was read."""
FILES = {*STEPS, OBSERVED, "settings.yaml", "requests.yaml", "envoy.yaml", "status.yaml"}
MESSAGES: dict[FragmentKind, type[Message]] = {**UNSEALED, FragmentKind.SECRET: Secret}


class Strict(BaseModel):
    """Unknown keys are mistakes of the case's author."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Received(Strict):
    """What the backend must have been asked."""

    path: str | None = None
    host: str | None = None
    method: str | None = None
    protocol: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    present: list[str] = Field(default_factory=list)
    absent: list[str] = Field(default_factory=list)
    client: str | None = None


class Expected(Strict):
    """What must come back.

    `logged`: lines that then stand in the file whose path the case's inputs give as LOG_FILE.
    `share`: of `times` requests, how many parts of one each backend (or status, or "refused") gets, ±0.07;
    `mirrored_share`: how many are mirrored to it. `same`: all `times` requests get one backend. `asked`: paths that
    some backend is asked for, before the request or soon after it.
    """

    status: int | None = None
    backend: str | None = None
    body: str | None = None
    logged: list[str] = Field(default_factory=list)
    headers: dict[str, str] = Field(default_factory=dict)
    absent: list[str] = Field(default_factory=list)
    received: Received = Received()
    share: dict[str, float] = Field(default_factory=dict)
    mirrored: list[str] = Field(default_factory=list)
    mirrored_share: dict[str, float] = Field(default_factory=dict)
    not_mirrored: list[str] = Field(default_factory=list)
    certificate: str | None = None
    refused: bool = False
    sticky: bool = False
    same: bool = False
    asked: list[str] = Field(default_factory=list)


class Request(Strict):
    """A request to a listener's port; `host` is also the SNI of a request over TLS unless `sni` says otherwise.

    `grpc` and `grpcs` call the method at `path`, by HTTP/2 without and with TLS; `udp` sends it as a datagram.
    A `body` that is a number is so many bytes. Of those with a `share` so many are under way `at_once`. With `client` a
    certificate is shown that tests/support/clients.pem has signed.
    `proxied` is the address that a PROXY line before the request tells; `http10` sends it as HTTP/1.0, without the
    header host when that is "".
    """

    port: int = 80
    scheme: Literal["http", "https", "grpc", "grpcs", "udp"] = "http"
    host: str = "example.com"
    sni: str | None = None
    method: str = "GET"
    path: str = "/"
    headers: dict[str, str] = Field(default_factory=dict)
    body: str | int = ""
    times: int = 1
    at_once: int = 1
    websocket: bool = False
    client: bool = False
    proxied: str | None = None
    http10: bool = False
    expect: Expected

    @property
    def bytes(self) -> bytes:
        """The body."""
        return b"x" * self.body if isinstance(self.body, int) else self.body.encode()


@dataclass(frozen=True, slots=True)
class Golden:
    """What the engine made of a case."""

    update: Update
    refused: dict[str, str]
    sealer: Sealer


def names() -> list[str]:
    """All cases."""
    return sorted(one.name for one in CASES.iterdir() if one.is_dir())


PLACEHOLDER = "127.1.0."
"""Where the backends of a case stand, as it is written; each time that it is played they stand elsewhere."""


def requests_of(name: str, prefix: str = PLACEHOLDER) -> list[Request]:
    """The requests of a case, with its backends under another prefix."""
    text = (CASES / name / "requests.yaml").read_text().replace(PLACEHOLDER, prefix)
    return [Request.model_validate(one) for one in yaml.safe_load(text)]


@dataclass(frozen=True, slots=True)
class Read:
    """What the file source makes of an input: a change set for each thing that the directory said, one after the other."""

    change_sets: tuple[ChangeSet, ...]
    refused: dict[str, str]
    settings: EngineSettings = EngineSettings()


def read(folder: Path) -> Read:
    """Read a folder's manifests as the file source does: `before.yaml`, where there is one, then `input.yaml`."""
    sealer = Sealer(_KEY)
    chosen = folder / "settings.yaml"
    said = yaml.safe_load(chosen.read_text()) if chosen.exists() else {}
    # As if another source had read the same: of "kubernetes" a Secret that is not there was not looked for.
    source = said.pop("source", "files")
    own = [folder / one for one in STEPS if (folder / one).exists()]
    change_sets, refused = _told(own, "local", source, sealer)
    for file in others(folder):
        more, _ = _told([file], file.name.removesuffix(OTHER), source, sealer)
        change_sets += more
    if (found := folder / OBSERVED).exists():
        puts = tuple(_observed(*one) for one in sorted(yaml.safe_load(found.read_text()).items()))
        change_sets.append(ChangeSet("default", "local", source, "golden-found", NOW, "issuers", puts))
    return Read(tuple(change_sets), {one.location: one.message for one in refused}, EngineSettings(**said))


def others(folder: Path) -> list[Path]:
    """The inputs of other clusters than `local`, each by its name."""
    return sorted(folder.glob(f"*{OTHER}"))


def _told(files: list[Path], cluster: str, source: str, sealer: Sealer) -> tuple[list[ChangeSet], list[Refused]]:
    """What the source of a cluster says as its directory becomes one file after the other, and what it refuses last."""
    logged: dict[Ref, Any] = {}
    change_sets = []
    told: set[str] = set()
    refused: list[Refused] = []
    with tempfile.TemporaryDirectory(prefix="golden-") as alone:
        directory = Directory(Path(alone), cluster)
        for number, file in enumerate(files):
            shutil.copy(file, Path(alone) / "new")
            (Path(alone) / "new").rename(Path(alone) / "input.yaml")
            touched = directory.look() | logged.keys()
            changes = [one for ref in sorted(touched) if (one := _change(ref, directory, logged, sealer)) is not None]
            logged |= {one.ref: one.object for one in changes if isinstance(one, Put)}
            refused = sorted(directory.refusals(), key=lambda one: one.location)
            changes += [Admitted(one) for one in sorted(told - {one.location for one in refused})]
            changes += [Refused(one.location, one.ref, one.message) for one in refused]
            told = {one.location for one in refused}
            time = f"{NOW[:-8]}{number}0.000Z"
            change_sets.append(ChangeSet("default", cluster, source, f"golden-{number}", time, "files", tuple(changes)))
    return change_sets, refused


def _observed(issuer: str, said: dict[str, str]) -> Put:
    ref = configuration_ref("local", issuer)
    return Put(ref, observation(ref, {"issuer": issuer, **said}))


def _change(ref: Ref, directory: Directory, logged: dict[Ref, Any], sealer: Sealer) -> Put | Delete | None:
    found, old = directory.object(ref), logged.get(ref)
    if found is not None:
        new = stamped(ref, found.object, old, NOW, sealer)
        return None if new == old else Put(ref, new)
    return None if old is None or directory.keeps(ref) else Delete(ref)


def resolved(case: Read) -> Golden:
    """What the engine makes of it."""
    sealer = Sealer(_KEY)
    engine = Engine(sealer, case.settings)
    for offset, change_set in enumerate(case.change_sets):
        defects = engine.apply(change_set, offset).warnings
        assert not defects, defects
    tick = ChangeSet("default", "", "clock", "tick", NOW, "penstock", (Tick(),))
    engine.apply(tick, len(case.change_sets))
    return Golden(engine.everything(), case.refused, sealer)


def resolve(folder: Path) -> Golden:
    """Both."""
    return resolved(read(folder))


def envoy_of(golden: Golden) -> str:
    """The fragments as YAML, sorted by key."""
    return as_yaml({name: _shown(one, golden.sealer) for name, one in sorted(golden.update.fragments.set.items())})


def status_of(golden: Golden) -> str:
    """All conditions, as if every proxy had acknowledged everything, and what was refused."""
    statuses = golden.update.statuses.set
    converged = {gateway: 9 for one in statuses.values() for gateway in one["programmed"]}
    shown = {ref: programmed(one, converged) for ref, one in sorted(statuses.items())}
    return as_yaml({"refused": golden.refused, "statuses": shown})


def _shown(fragment: Fragment, sealer: Sealer) -> dict[str, Any]:
    payload = sealer.unseal(fragment.payload, str(fragment.key).encode()) if fragment.sealed else fragment.payload
    message = MESSAGES[fragment.key.kind].parse(payload)
    config = _brief(message.to_dict())
    if "tlsCertificate" in config:
        config["tlsCertificate"]["privateKey"] = "(sealed)"
    shown: dict[str, Any] = {"parent": fragment.parent, "order": fragment.order} if fragment.parent else {}
    return shown | {"from": [f"{ref} {generation}" for ref, generation in fragment.provenance], "config": config}


def standing() -> list[Any]:
    """The filters that stand in every connection manager."""
    return _standing()


def _without_script(value: str) -> str:
    """With a digest for the runtime of templates."""
    if value != runtime.source():
        return value
    return f"(engine/templates/runtime {hashlib.blake2b(value.encode(), digest_size=8).hexdigest()})"


def _brief(value: Any) -> Any:
    """With one word for the filters that stand in every connection manager: `standing` shows them once for all."""
    if isinstance(value, dict):
        return {key: _without_standing(one) if key == "httpFilters" else _brief(one) for key, one in value.items()}
    if isinstance(value, str):
        return _without_script(value)
    return [_brief(one) for one in value] if isinstance(value, list) else value


@cache
def _standing() -> list[Any]:
    return [HttpFilter.parse(encode(one)).to_dict() for one in STANDING]


def _without_standing(filters: list[Any]) -> list[Any]:
    known = _standing()
    places = range(len(filters) - len(known) + 1)
    first = next((one for one in places if filters[one : one + len(known)] == known), None)
    if first is None:
        return filters
    return [*filters[:first], "(those that stand in every connection manager)", *filters[first + len(known) :]]


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def as_yaml(value: Any) -> str:
    """As a golden file has it."""
    plain = yaml.dump(value, Dumper=_Dumper, sort_keys=True, width=120, allow_unicode=True)
    return str(plain)
