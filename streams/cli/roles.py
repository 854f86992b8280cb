"""The roles of `penstock run` and `penstock controller` as commands of their own."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import signal
import sys
from collections.abc import Callable, Container, Coroutine, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from streams.cli.logs import configure_logs
from streams.cli.output import fail

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.telemetry import Telemetry

_PDEATHSIG = 1
_BEHIND = 5
"""Added to the niceness of a role behind what is served: a third of the share of one that serves, and never none."""
_CLUSTER = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


Kubeconfig = Annotated[
    Path | None, typer.Option("--kubeconfig", help="How to reach it; without one, as the service account of this pod.")
]
Context = Annotated[str, typer.Option("--context", help="Context of the kubeconfig; empty: its current one.")]
Members = Annotated[
    bool, typer.Option("--members", help="The clusters, too, that Cluster objects or ClusterProfiles of this one name.")
]


def watch(
    source: Annotated[
        str | None, typer.Argument(help="CLUSTER=DIR, or DIR for cluster local; none for a Kubernetes cluster.")
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="Watch a Kubernetes cluster, under this name.")] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    *,
    members: Members = False,
) -> None:
    """The file source, or the Kubernetes source."""
    from streams.controller import Access, run_watch_cluster  # noqa: PLC0415
    from streams.main import run_watch  # noqa: PLC0415

    if source is not None:
        if cluster is not None or kubeconfig is not None or members:
            fail("a directory and a Kubernetes cluster are two sources: run one `penstock watch` for each", 2)
        name, directory = named(source)
        _run(_Name("watch", name), lambda settings, telemetry: run_watch(settings, name, directory, telemetry))
        return
    if cluster is None:
        fail("name a directory, or a Kubernetes cluster with --cluster NAME (and --kubeconfig PATH outside of it)", 2)
    check_cluster(cluster)
    access = Access(cluster, kubeconfig, context, members)
    _run(_Name("watch", cluster), lambda settings, telemetry: run_watch_cluster(settings, access, telemetry))


def resolve() -> None:
    """The resolver."""
    from streams.main import run_resolve  # noqa: PLC0415

    _run(_Name("resolve"), run_resolve, is_alone=True)


def project() -> None:
    """The projections."""
    from streams.main import run_project  # noqa: PLC0415

    # Not deploy, which could go behind too: its Envoys would inherit it.
    os.nice(_BEHIND)
    _run(_Name("project"), run_project, is_alone=True)


def publish() -> None:
    """The publisher."""
    from streams.main import run_publish  # noqa: PLC0415

    _run(_Name("publish"), run_publish, is_alone=True)


def deploy(
    cluster: Annotated[str | None, typer.Option(help="Deploy in the Kubernetes cluster of this name.")] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    *,
    members: Members = False,
) -> None:
    """The local deployer, or the Kubernetes deployer."""
    if cluster is None:
        from streams.main import run_deploy  # noqa: PLC0415

        if kubeconfig is not None or context or members:
            fail("name the cluster with --cluster NAME, as its `penstock watch` does", 2)
        _run(_Name("deploy"), run_deploy, is_alone=True)
        return
    from streams.controller import Access, run_deploy_cluster  # noqa: PLC0415

    check_cluster(cluster)
    access = Access(cluster, kubeconfig, context, members)
    _run(
        _Name("deploy", cluster),
        lambda settings, telemetry: run_deploy_cluster(settings, access, telemetry),
        is_alone=True,
    )


def write_status(
    cluster: Annotated[str, typer.Option(help="The Kubernetes cluster's name, as its `penstock watch` has it.")],
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    *,
    members: Members = False,
) -> None:
    """The status writer."""
    from streams.controller import Access, run_write_status  # noqa: PLC0415

    check_cluster(cluster)
    access = Access(cluster, kubeconfig, context, members)
    _run(
        _Name("write-status", cluster),
        lambda settings, telemetry: run_write_status(settings, access, telemetry),
        is_alone=True,
    )


def named(source: str) -> tuple[str, Path]:
    """`east=DIR` as (cluster, directory); `DIR` is cluster "local"."""
    cluster, equals, directory = source.partition("=")
    if not equals or "/" in cluster:
        return "local", Path(source)
    check_cluster(cluster)
    return cluster, Path(directory)


def check_cluster(name: str) -> None:
    """End the command when it is no name for a cluster."""
    if not _CLUSTER.fullmatch(name):
        fail(f"{name!r} is no name for a cluster: use at most 63 of a-z, 0-9 and -", 2)


def load_settings(given: Mapping[str, Any] | None = None) -> Settings:
    """The settings, what options gave on top; a value that is off ends the command with one line that names it."""
    from pydantic import ValidationError  # noqa: PLC0415

    from streams.settings import Settings  # noqa: PLC0415

    options = {name: value for name, value in (given or {}).items() if value is not None}
    try:
        return Settings(**options)
    except ValidationError as error:
        fail("; ".join(_refused(one, options) for one in error.errors()), 2)


def _refused(error: Mapping[str, Any], options: Container[str]) -> str:
    """One value in words: the name that was written, the value, what it may be."""
    from streams.settings import ALLOWED  # noqa: PLC0415

    if not error["loc"]:
        return str(error["ctx"]["error"])
    name = str(error["loc"][0])
    written = f"--{name}" if name in options else f"PENSTOCK_{name.upper()}"
    # Of a user and a password in an address only the address is shown.
    shown = re.sub(r"[^,]*@", "...@", str(error["input"]))
    return f"{written}: {shown!r} is none of its values: give {ALLOWED.get(name, 'another one')}"


def said(error: BaseException) -> str:
    """What a person reads of an error: the words of the first one of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


class _Name(NamedTuple):
    """A role, and the cluster that it is for, where it is for one."""

    role: str
    cluster: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """Of its metrics."""
        return {"role": self.role, **({"cluster": self.cluster} if self.cluster else {})}

    @property
    def lock(self) -> str:
        """The file that says that it runs."""
        return f"{'-'.join(filter(None, self))}.lock"


def _run(
    name: _Name, role: Callable[[Settings, Telemetry], Coroutine[Any, Any, None]], *, is_alone: bool = False
) -> None:
    """Run a role until SIGTERM or SIGINT; what ends it otherwise is one line and exit code 3.

    Two of a role that `is_alone` on one data directory would take each other's socket, proxies or place.
    """
    from streams.identity import lock  # noqa: PLC0415
    from streams.ports import Superseded  # noqa: PLC0415
    from streams.supervisor import SUPERSEDED  # noqa: PLC0415
    from streams.telemetry.process import seen  # noqa: PLC0415

    settings = load_settings()
    configure_logs()
    _die_with_parent()
    try:
        _check_signing(settings)
        with lock(settings.data, name.lock) if is_alone else nullcontext():
            work = seen(settings.health_listen, lambda telemetry: role(settings, telemetry), name.labels)
            asyncio.run(_until_signal(work))
    except Superseded as error:
        fail(str(error), SUPERSEDED)
    except Exception as error:  # noqa: BLE001  whatever it is, a person reads one line
        fail(said(error), 3)


def _check_signing(settings: Settings) -> None:
    """A key that cannot be used is told at the start, not with the first change. Raises IdentityError."""
    from streams.main import signer  # noqa: PLC0415

    if (found := signer(settings)) is not None:
        found.public  # noqa: B018  reads it


async def _until_signal(role: Coroutine[Any, Any, None]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(role)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        sys.stderr.flush()


def _die_with_parent() -> None:
    """A role of a killed `penstock run` is killed too; its Envoys and broker stay, and the next run adopts them.

    Killed, not asked: one that takes its time to end would stand in the way of the next run's.
    """
    parent = os.environ.get("PENSTOCK_PARENT")
    if parent is None:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit(0)
