"""At most one replica is active at any time, whatever their clocks say and whichever write is lost."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.kubernetes.lease import RETRY, Election

NOW = "2026-01-01T00:00:00.000000Z"


class Conflict(Exception):  # noqa: N818
    """Somebody wrote in between."""


class Leases:
    """One Lease as an API server keeps it: a write must name the version that it replaces."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self._version = 0

    def write(self, lease: dict[str, Any]) -> dict[str, Any]:
        there = (self.lease or {"metadata": {}})["metadata"].get("resourceVersion", "")
        if lease["metadata"].get("resourceVersion", "") != there:
            raise Conflict
        self._version += 1
        self.lease = {**lease, "metadata": {"resourceVersion": str(self._version)}}
        return self.lease


def step(election: Election, leases: Leases, at: float) -> None:
    election.read(leases.lease, at)
    claim = election.claim(NOW, at)
    if claim is not None:
        election.wrote(leases.write(claim), at)


def test_the_first_one_is_active_and_the_second_waits() -> None:
    leases, first, second = Leases(), Election("a"), Election("b")
    step(first, leases, 0.0)
    step(second, leases, 0.0)
    assert first.is_active(0.0)
    assert not second.is_active(0.0)
    assert second.holder == "a"


def test_who_renews_stays_active() -> None:
    leases, first, second = Leases(), Election("a"), Election("b")
    for at in range(0, 100, 2):
        step(first, leases, float(at))
        step(second, leases, float(at))
    assert first.is_active(99.0)
    assert leases.lease is not None
    assert leases.lease["spec"]["leaseTransitions"] == 0


def test_after_a_kill_the_second_takes_over_within_the_lease() -> None:
    leases, first, second = Leases(), Election("a"), Election("b")
    step(first, leases, 0.0)
    step(second, leases, 0.0)
    step(second, leases, 14.9)
    assert not second.is_active(14.9)
    step(second, leases, 15.0)
    assert second.is_active(15.0)
    assert not first.is_active(15.0)
    assert leases.lease is not None
    assert leases.lease["spec"]["leaseTransitions"] == 1
    step(first, leases, 15.0)
    assert not first.is_active(15.0)


def test_who_ends_in_good_order_keeps_nobody_waiting() -> None:
    leases, first, second = Leases(), Election("a"), Election("b")
    step(first, leases, 0.0)
    released = first.release(NOW)
    assert released is not None
    leases.write(released)
    assert not first.is_active(0.0)
    step(second, leases, 0.0)
    assert second.is_active(0.0)
    assert second.release(NOW) is not None
    assert first.release(NOW) is None


def test_a_lease_that_somebody_deleted_is_made_again() -> None:
    leases, first = Leases(), Election("a")
    step(first, leases, 0.0)
    leases.lease = None
    step(first, leases, 2.0)
    assert first.is_active(2.0)


def test_a_replica_that_comes_anew_under_its_name_takes_its_lease_at_once() -> None:
    leases = Leases()
    step(Election("a"), leases, 0.0)
    again = Election("a")
    step(again, leases, 1.0)
    assert again.is_active(1.0)


@given(st.integers(0, 2**32 - 1))
def test_never_two_at_once(seed: int) -> None:
    """Replicas that stand still at any point between reading, writing and acting, clocks that differ by hours."""
    choose = random.Random(seed)
    leases = Leases()
    replicas = [(Election(name), choose.uniform(0, 9_999)) for name in "abc"]
    pending: dict[str, tuple[dict[str, Any], float]] = {}
    at = 0.0
    for _ in range(200):
        at += choose.choice((0.0, 0.1, RETRY, 7.0))
        election, skew = choose.choice(replicas)
        if election.identity in pending:
            claim, asked = pending.pop(election.identity)
            try:
                written = leases.write(claim)
            except Conflict:
                continue
            if choose.random() < 0.8:  # Or the answer is lost.
                election.wrote(written, asked)
        else:
            election.read(leases.lease, at + skew)
            made = election.claim(NOW, at + skew)
            if made is not None:
                pending[election.identity] = (made, at + skew)
        assert sum(one.is_active(at + its) for one, its in replicas) <= 1
