"""Kills the processes of a `penstock run` with -9 while changes go on; it judges nothing."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.outage import Death
from tests.chaos.stream import Stream
from tests.chaos.strikes import Strike, Victim
from tests.e2e.site import Site
from tests.support.running import pid_of

_SECONDS = 240.0
"""Patience, not a promise: a broker alone may take a minute to come back on a machine that has other work."""


@dataclass
class Campaign:
    """Strikes a site's processes. `killed` counts victims, `deaths` are the proxy's, `served` how soon changes were."""

    site: Site
    stream: Stream
    killed: Counter[Victim] = field(default_factory=Counter)
    deaths: list[Death] = field(default_factory=list)
    served: list[float] = field(default_factory=list)

    def strike(self, strike: Strike) -> str:
        """Kill, and unless in haste wait until a change made afterwards is served and the victims run again.

        Answers what happened, in words.
        """
        self.stream.next_change()
        self.stream.flow(strike.after_change)
        pids = {victim: self._found(victim) for victim in strike.victims}
        for number, (victim, pid) in enumerate(pids.items()):
            if number:
                # Not in the stream: writing a change takes longer than what lies between the two.
                time.sleep(strike.gap)
            self._kill(victim, pid)
        said = " and ".join(victim.name.lower() for victim in pids)
        if strike.hasty:
            self.stream.flow(strike.pause)
            return f"{said}, and on in haste"
        began = time.monotonic()
        self.stream.serves_changes(_SECONDS, self._printed)
        self.served.append(time.monotonic() - began)
        for victim, pid in pids.items():
            self.stream.until(lambda one=victim, old=pid: self._found(one) != old, _SECONDS, self._printed)  # type: ignore[misc]
        self.stream.flow(strike.pause)
        return f"{said}, a change was served after {self.served[-1]:.1f} s"

    def _found(self, victim: Victim) -> int:
        """Its process; one that is just being started again is waited for."""
        self.stream.until(
            lambda: pid_of(self.site.data, victim.value), _SECONDS, lambda: f"no {victim.name} runs\n{self._printed()}"
        )
        return pid_of(self.site.data, victim.value)

    def _kill(self, victim: Victim, pid: int) -> None:
        self.killed[victim] += 1
        before = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        if victim is Victim.RUN:
            assert self.site.run is not None
            self.site.run.process.wait()
            self.site.start()
        elif victim is Victim.ENVOY:
            while not _is_gone(pid):
                time.sleep(0.001)
            self.deaths.append(Death(before, time.monotonic()))

    def _printed(self) -> str:
        return "\n".join(self.site.printed.splitlines()[-60:])


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
