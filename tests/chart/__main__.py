"""`python -m tests.chart`: build helm; `… ready`: whether it is there."""

import sys

from tests.chart.helm import main

sys.exit(main())
