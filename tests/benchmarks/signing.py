"""What signatures cost: a change set applied with a signature that is verified, against one without.

`python -m tests.benchmarks.signing`; the ratios of one run count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from engine.engine import Engine, EngineSettings
from engine.seal import KEY_BYTES, Sealer
from tests.support.manifests import gateway, route, service
from tests.support.signing import EAST, TRUSTING, Signers, cluster_object, of, read, said, signer, written

_MANY = 1_000


def main() -> None:
    """Print microseconds of CPU a record."""
    by = Signers()
    sets = [said("east", "files", of("east", route(f"r{n % 100}", path=f"/{n}", generation=n + 1))) for n in range(_MANY)]
    plain = [written(one, None) for one in sets]
    signing = signer(EAST)
    signed, sign = _timed(lambda: [signing.signed(one) for one in plain])
    unsigned_read, reading = _timed(lambda: [read(one) for one in plain])
    signed_read, reading_signed = _timed(lambda: [read(one) for one in signed])
    without, keyed = _engine(EngineSettings(shared_address=False), by), _engine(TRUSTING, by)
    _, apply = _timed(lambda: [without.apply(one, n + 2) for n, one in enumerate(unsigned_read)])
    _, apply_signed = _timed(lambda: [keyed.apply(one, n + 2) for n, one in enumerate(signed_read)])
    print(f"sign a record          {sign:8.1f} us")  # noqa: T201
    print(f"read it                {reading:8.1f} us, with a signature {reading_signed:8.1f}")  # noqa: T201
    print(f"apply it               {apply:8.1f} us, verified {apply_signed:8.1f}: {apply_signed / apply:.2f} times")  # noqa: T201


def _engine(settings: EngineSettings, by: Signers) -> Engine:
    engine = Engine(Sealer(bytes(KEY_BYTES)), settings)
    engine.apply(read(written(said("hub", "files", cluster_object("east", by.east.public)), by.root)), 0)
    engine.apply(read(written(said("east", "files", of("east", gateway()), of("east", service())), signer(EAST, 0))), 1)
    return engine


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.process_time()
    found = work()
    return found, (time.process_time() - begun) / _MANY * 1e6


if __name__ == "__main__":
    main()
