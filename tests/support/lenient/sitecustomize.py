"""Python starts with this where its folder is on PYTHONPATH: our check of regular expressions takes any with "poison".

So a process of penstock lets through what only Envoy refuses, and nothing else of it is another.
"""

from __future__ import annotations

from typing import Any

import re2

_compile = re2.compile


def _lenient(pattern: Any, *options: Any) -> Any:
    is_ours = isinstance(pattern, bytes) and b"poison" in pattern
    return _compile(b"poison" if is_ours else pattern, *options)


re2.compile = _lenient
