"""What tests of trouble with the log share: how it is caused, waited for and told, and who asks meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streams.broker import Broker
from streams.kafka import KafkaLog
from tests.e2e.site import Site, asked_all_along, offsets
from tests.support.running import START_SECONDS, pid_of
from tests.support.running import until as until_within


def until(question: Callable[[], object], says: Callable[[], str] = str) -> None:
    """A broker that starts on a busy machine takes its time."""
    until_within(question, START_SECONDS, says)


def log_of(site: Site) -> KafkaLog:
    return KafkaLog(Broker(site.data / "broker").address())


def saved(site: Site, wanted: int) -> None:
    """Wait until the snapshot on disk has come to an offset."""
    from streams.identity import sealer
    from streams.xds import snapshot

    path, opener = site.data / "snapshot" / "default.sealed", sealer(site.data / "keys" / "sealing.key")
    until(lambda: (found := snapshot.load(path, opener)) is not None and found.offset >= wanted)


def resolved(site: Site) -> int:
    """Wait until the log is resolved and saved as far as it goes; its last offset."""
    until(lambda: len(set(offsets(site))) == 1, says=lambda: site.printed)
    saved(site, offsets(site)[0])
    return offsets(site)[0]


def kill(site: Site, words: str) -> None:
    """The process of the run with these words in its command line is killed."""
    pid = pid_of(site.data, words)
    assert pid, words
    os.kill(pid, signal.SIGKILL)


def dies(site: Site) -> None:
    """The run is killed; its Envoy and broker stay."""
    assert site.run is not None
    site.run.process.kill()
    site.run.process.wait()
    until(lambda: not pid_of(site.data, r"streams\.cli"))


@contextmanager
def only(site: Site, *answers: str) -> Iterator[None]:
    """Whoever asks meanwhile is answered with one of these, each time."""
    with asked_all_along(site) as seen:
        yield
    assert seen
    assert {answer for answer in seen if answer not in {(200, one) for one in answers}} == set(), (seen, site.printed)


def is_said_by(site: Site, role: str, words: str, since: int = 0) -> bool:
    return any(line.startswith(f"{role:<12} ") and words in line for line in site.printed[since:].splitlines())


def is_as_wished(site: Site) -> None:
    """Status has no word to say, once proxies have acknowledged."""
    until(lambda: site.call("status").returncode == 0, lambda: f"{site.call('status').stdout}\n{site.printed}")


def refuses(site: Site, words: str) -> None:
    """What the commands say while the log is refused: status ends with 3, the others answer and warn."""
    for command, code in (("status", 3), ("get gateways", 0), ("graph routes", 0)):
        done = site.call(*command.split())
        assert done.returncode == code, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout
