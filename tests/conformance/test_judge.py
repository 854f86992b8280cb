"""What is read of the suite's output, and what it is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.binaries import OTHER, Inventory, binary, is_built
from tests.conformance.judge import Order, Reading, Verdict, words

_OUTPUT = """\
\x16=== RUN   TestConformance
    suite.go:395: Test Setup: Applying base manifests
\x16=== RUN   TestConformance/TLSRouteListener
\x16=== RUN   TestConformance/TLSRouteListener/must_be_refused
    helpers.go:1: no end of line\x16=== NAME  TestConformance/TLSRouteListener/must_be_refused
        \tError Trace:\thelpers.go:1
        \tError:      \tReceived unexpected error:
        \t            \tcontext deadline exceeded
        \tTest:       \tTestConformance/TLSRouteListener/must_be_refused
        \tMessages:   \terror waiting for Gateway status
\x16--- FAIL: TestConformance/TLSRouteListener/must_be_refused (60.00s)
\x16--- FAIL: TestConformance/TLSRouteListener (60.03s)
\x16=== NAME  TestConformance
\x16=== RUN   TestConformance/MeshBasic
\x16--- SKIP: TestConformance/MeshBasic (0.00s)
\x16--- PASS: TestConformance/UDPRoute (0.82s)
\x16--- FAIL: TestConformance (110.99s)
"""
_ASKS = Inventory("v1.6.3", ("Gateway", "HTTPRoute", "HTTPRouteRetry"), {"HTTPRouteRetry": ("HTTPRoute", "HTTPRouteRetry")})


def test_a_verdict_is_heard_when_its_test_ends_with_what_it_said() -> None:
    heard: list[Verdict] = []
    reading = Reading(heard.append)
    for line in _OUTPUT.splitlines():
        reading.line(line)
    failed = Verdict(
        "TLSRouteListener", "FAIL", 60.03,
        ("Received unexpected error: context deadline exceeded", "error waiting for Gateway status"),
    )  # fmt: skip
    assert heard == [failed, Verdict("MeshBasic", "SKIP", 0.0), Verdict("UDPRoute", "PASS", 0.82)]
    assert reading.failed() == [failed]


_LABELLESS = """\
\x16=== RUN   TestConformance/GRPCRouteWeight
\x16=== RUN   TestConformance/GRPCRouteWeight/0_request
    grpc.go:293: 2026-11-26T18:46:42Z: expected status code to be OK (0), but got Unavailable (14)
    http.go:306: 2026-11-26T18:46:43Z: timeout while waiting after 10 attempts, 0/3 successes
\x16--- FAIL: TestConformance/GRPCRouteWeight/0_request (30.00s)
\x16=== CONT  TestConformance/GRPCRouteWeight/1_request
    grpc.go:287: 2026-11-26T18:46:44Z: Sending RPC
\x16--- FAIL: TestConformance/GRPCRouteWeight (0.40s)
"""


def test_one_that_fails_without_labels_says_the_last_lines_of_its_first_failure() -> None:
    heard: list[Verdict] = []
    reading = Reading(heard.append)
    for line in _LABELLESS.splitlines():
        reading.line(line)
    assert heard[0].said == (
        "grpc.go:293: 2026-11-26T18:46:42Z: expected status code to be OK (0), but got Unavailable (14)",
        "http.go:306: 2026-11-26T18:46:43Z: timeout while waiting after 10 attempts, 0/3 successes",
    )


def _flag(found: list[str], name: str) -> str:
    return found[found.index(name) + 1]


def test_all_is_every_feature_and_core_is_not(tmp_path: Path) -> None:
    everything = words(Order("1", report=tmp_path / "report.yaml"), _ASKS)
    assert _flag(everything, "-supported-features") == "Gateway,HTTPRoute,HTTPRouteRetry"
    assert _flag(everything, "-report-output") == str(tmp_path / "report.yaml")
    core = words(Order("1", core=True), _ASKS)
    assert "HTTPRouteRetry" not in _flag(core, "-supported-features")
    assert _flag(core, "-conformance-profiles") == _flag(everything, "-conformance-profiles")
    assert "-report-output" not in core


def test_one_test_is_run_whatever_its_features() -> None:
    found = words(Order("1", only="HTTPRouteRetry"), _ASKS)
    assert _flag(found, "-run-test") == "HTTPRouteRetry"
    assert "-conformance-profiles" not in found


def test_a_suite_of_another_version_may_find_other_crds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "-allow-crds-mismatch" not in words(Order("1"), _ASKS)
    monkeypatch.setenv(OTHER, str(tmp_path))
    assert "-allow-crds-mismatch" in words(Order("1"), _ASKS)
    (tmp_path / "suite").touch()
    assert not is_built()
    (tmp_path / "echo-basic").touch()
    assert is_built()
    assert binary("suite") == tmp_path / "suite"
