"""Explain says what the golden cases expect, which the real Envoy answered."""

from __future__ import annotations

import os
import re

from engine.history.explain import configs
from tests.explain.asked import disagreement, said
from tests.golden.case import CASES, names, requests_of, resolve

EVERY = int(os.environ.get("EXPLAIN_GOLDENS", "8"))
"""One case in so many; 1 for all."""
_DECIDED = 0.7
_BEYOND = re.compile(
    "bcp-|retry|timeout|internal-redirect"  # what the backend does, and what is tried again
    "|limits|http10|per-port|proxy-protocol"  # versions of HTTP, sizes, what is sent before a request
    "|frontend-|hostname-mismatch|lambda"  # whose certificate it is
)
"""Cases that expect what no request by itself decides."""


def test_explain_says_what_goldens_expect() -> None:
    wrong: dict[str, str] = {}
    total = decided = 0
    for name in [one for one in names()[::EVERY] if not _BEYOND.search(one)]:
        if not (CASES / name / "requests.yaml").exists():
            continue
        golden = resolve(CASES / name)
        found = configs(golden.update.fragments.set, golden.sealer)
        for request in requests_of(name):
            answer = said(found, request) if request.scheme != "udp" else None
            if answer is None:
                continue
            total += 1
            if not answer.undecided:
                decided += 1
                if text := disagreement(found[answer.gateway], request, answer):
                    wrong[f"{name} {request.method} {request.host}{request.path} {request.headers}"] = f"{text}: {answer}"
    assert not wrong
    assert decided >= _DECIDED * total > 0
