"""Fixtures that several parts of the tests share: the embedded broker."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import signal
from collections.abc import Generator, Iterator

import hypothesis  # late, from the plugin's depth, CPython 3.11 may fail to parse it (gh-106905)
import pytest

# A busy machine is no fault of what is tested: nothing here asserts a time, nor may hypothesis.
_UNTIMED = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large]
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=_UNTIMED)
hypothesis.settings.load_profile("untimed")

# Started in the background, tests would ignore Ctrl-C, and so would all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """No finalizers while a failure is told: one that parses Python ends CPython 3.11's parser (gh-106905), and all tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


_STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Where the watchdog says what hung: not where pytest keeps what a test says."""
    config.stash[_STDERR] = os.dup(2)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """What its timeout cannot end ends with its process, and says where it stood: xdist takes another for what is left.

    What a timeout raises in a step of a task is kept by the task, and a loop that closes waits for its tasks for ever.
    """
    _watch(item)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Once more: pytest takes the watchdog away from a test that failed."""
    _watch(item)


def _watch(item: pytest.Item) -> None:
    own = item.get_closest_marker("timeout")
    seconds = float(own.args[0] if own else item.config.getini("timeout"))
    if seconds:
        faulthandler.dump_traceback_later(seconds * 1.5, exit=True, file=item.config.stash[_STDERR])


@pytest.fixture(autouse=True)
def _same_environment() -> Iterator[None]:
    """`penstock run` sets the environment of its roles: in the tests' own process all later ones would inherit it."""
    before = _settings()
    yield
    after = _settings()
    for name in after.keys() - before.keys():
        del os.environ[name]
    assert after == before


def _settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("PENSTOCK_")}


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of a real Kafka of this test session; tests take topics of their own by a prefix."""
    from streams.broker import Broker

    node = Broker(tmp_path_factory.mktemp("broker"))
    address = asyncio.run(node.start())
    try:
        yield address
    finally:
        asyncio.run(node.stop())
