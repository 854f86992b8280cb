"""Why a request is answered as it is, read off what proxies are served.

`configs(fragments, sealer)` reads them, a `Config` each Gateway; `answer(config, request)` says what becomes of a
request there. Both are pure, and agree with Envoy (tests/explain).
"""

from __future__ import annotations

from engine.history.explain.answer import Answer, Kind, Outcome
from engine.history.explain.config import Config, configs
from engine.history.explain.evaluator import answer
from engine.history.explain.request import Request, request_of

__all__ = ["Answer", "Config", "Kind", "Outcome", "Request", "answer", "configs", "request_of"]
