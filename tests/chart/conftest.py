"""The API server that judges the chart."""

from tests.kubernetes.conftest import api_server

__all__ = ["api_server"]
