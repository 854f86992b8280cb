"""What a role holds for ever: the modules that it needs, and none that only other commands need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Each ends by itself, as there is neither an Envoy nor a broker; what it needs is imported by then.
_SCRIPT = """
import sys
from streams.cli import main
try:
    main()
except SystemExit as end:
    print(end.code, *sorted(sys.modules))
"""
_MODELS, _ENGINE, _ENVOY, _FAUST, _GRPC = (
    "engine.models.http_route",
    "engine.engine",
    "envoy_data_plane",
    "faust",
    "grpc",
)


@pytest.mark.parametrize(
    ("words", "needed", "foreign"),
    [
        ("run {tmp}", "streams.standalone", {_MODELS, _ENGINE, _ENVOY, _FAUST, _GRPC}),
        (
            "controller --cluster east --kubeconfig /proc/self/status",
            "streams.standalone",
            {_MODELS, _ENGINE, _ENVOY, _FAUST, _GRPC, "kubernetes_asyncio"},
        ),
        ("deploy", "streams.sinks.local_envoy", {_MODELS, _ENGINE, _ENVOY, _FAUST, _GRPC}),
        ("deploy --cluster east --kubeconfig {tmp}/none", "streams.sinks.kubernetes.deployer", {_ENGINE, _ENVOY, _FAUST, _GRPC}),
        ("project", "streams.projections.convergence", {_MODELS, _ENGINE, _ENVOY, _GRPC}),
        ("publish", "streams.xds.publisher", {_MODELS, _ENGINE, _ENVOY, _FAUST}),
        ("watch {tmp}", "streams.sources.files", {_ENGINE, _ENVOY, _FAUST, _GRPC}),
        ("watch --cluster east --kubeconfig {tmp}/none", "streams.sources.kubernetes.source", {_ENGINE, _ENVOY, _FAUST, _GRPC}),
        ("resolve", "streams.resolver", {_GRPC}),
    ],
)
def test_a_role_imports_what_it_needs(tmp_path: Path, words: str, needed: str, foreign: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *words.format(tmp=tmp_path).split()],
        capture_output=True, text=True, timeout=300, check=True,
        env={**os.environ, "PENSTOCK_DATA": str(tmp_path / "data"), "PENSTOCK_ENVOY": str(tmp_path / "none"), "PENSTOCK_XDS_ADDRESS": "xds:1"},
    )  # fmt: skip
    code, *held = done.stdout.split()
    assert code == "3", done.stderr
    assert needed in held
    assert foreign.isdisjoint(held)
    # Nobody asks for them here.
    assert {"prometheus_client", "opentelemetry", "streams.telemetry.server"}.isdisjoint(held)
