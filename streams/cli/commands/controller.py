"""`penstock controller`: all roles of a Kubernetes installation together, as one process to start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from streams.cli.output import fail
from streams.cli.roles import Context, Kubeconfig, Members, check_cluster, load_settings
from streams.cli.together import is_live, serve

LISTEN: Final = "0.0.0.0:9977"
"""Where config is served unless it is set otherwise; kgateway's port, so that its network policies fit."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=controller.__doc__)(controller)


def controller(  # noqa: PLR0913  the options of the command
    cluster: Annotated[str, typer.Option(help="Name of the Kubernetes cluster in the log.")],
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    *,
    members: Members = False,
    data: Annotated[Path | None, typer.Option(help="Directory of the log, keys and snapshots.")] = None,
    brokers: Annotated[str | None, typer.Option(help="A Kafka of yours, host:port; else the embedded one.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Print lines, not a live view.")] = False,
) -> None:
    """Serve a Kubernetes cluster: watch it, resolve it through the log, write statuses, and run proxies in it.

    PENSTOCK_XDS_ADDRESS must name where proxies reach this process. Ctrl-C ends all but the proxies, which serve on.
    """
    check_cluster(cluster)
    given: dict[str, Any] = {"proxies": "kubernetes"}
    options = (("data", data and data.resolve()), ("brokers", brokers), ("members", members))
    given |= {name: value for name, value in options if value}
    settings = load_settings(given)
    given |= {} if settings.xds_listen else {"xds_listen": LISTEN}
    if settings.members and not settings.configuration_cluster:
        given["configuration_cluster"] = cluster
    settings = load_settings(given)
    if settings.members and settings.configuration_cluster != cluster:
        fail("--members is for the cluster that PENSTOCK_CONFIGURATION_CLUSTER names: leave one of the two away", 2)
    if not settings.xds_address:
        fail("PENSTOCK_XDS_ADDRESS is not set: proxies must be told where they get their config, as host:port", 2)
    if (settings.xds_certificate is None) != (settings.xds_ca is None):
        fail("PENSTOCK_XDS_CERTIFICATE and PENSTOCK_XDS_CA go together: proxies must trust what is served with", 2)
    _check_access(kubeconfig)
    environment = {f"PENSTOCK_{name.upper()}": str(value) for name, value in given.items()}
    from streams.standalone import Outside  # noqa: PLC0415  heavy imports only once the words were right
    from streams.supervisor import Role  # noqa: PLC0415

    words = ["--cluster", cluster, *(("--kubeconfig", str(kubeconfig.resolve())) if kubeconfig else ())]
    words += ["--context", context] if context else []
    watch, write_status, deploy = (Role(name, (name, *words)) for name in ("watch", "write-status", "deploy"))
    outside = Outside({cluster: watch}, (write_status, deploy))
    serve(settings, outside, environment, live=is_live(plain=plain))


def _check_access(kubeconfig: Path | None) -> None:
    """End the command when the cluster cannot be reached for want of words; its roles would begin again for ever."""
    if kubeconfig is None and not os.environ.get("KUBERNETES_SERVICE_HOST"):
        fail("no --kubeconfig is given, and this is no pod of a cluster: name the kubeconfig of the cluster", 3)
    if kubeconfig is not None and not kubeconfig.is_file():
        fail(f"{kubeconfig} is not there: name the kubeconfig of the cluster", 3)
