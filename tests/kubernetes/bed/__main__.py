"""`python -m tests.kubernetes.bed`: build the bed; `… ready`: exit code 0 when it is built, else say what is missing."""

from __future__ import annotations

import subprocess
import sys

from tests.conformance import binaries as conformance
from tests.kubernetes.bed.binaries import NEEDED, MissingBedError, build, folder, is_built


def main() -> int:
    if sys.argv[1:] == ["ready"]:
        if not is_built():
            sys.stdout.write(f"left out: tests against a real Kubernetes API server. {NEEDED}: run `make kubernetes-bed`, once.\n")
        return 0 if is_built() else 1
    try:
        build()
        conformance.build()
    except (MissingBedError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"{error}\n")
        return 3
    sys.stdout.write(f"the Kubernetes test bed is in {folder()}, the conformance suite in {conformance.folder()}\n")
    return 0


sys.exit(main())
