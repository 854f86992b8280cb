"""Asks an endpoint as Kubernetes and Prometheus do."""

from __future__ import annotations

import http.client
import json
from typing import Any


def get(port: int, path: str) -> tuple[int, bytes]:
    """Status and body; (0, b"") while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def readiness(port: int) -> tuple[int, dict[str, Any]]:
    """Status and body of /readyz."""
    status, body = get(port, "/readyz")
    return status, json.loads(body) if body else {}
