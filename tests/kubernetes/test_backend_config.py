"""A real API server takes what our model of BackendConfigPolicy takes, and refuses what it refuses, for the same reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.bed.server import ApiServerProcess
from tests.kubernetes.stage import real_stage
from tests.models.manifests import BACKEND_CONFIG_POLICY, changed

_REFUSED = Path(__file__).parents[1] / "models" / "refused.yaml"
_PATH = "/apis/gateway.kgateway.dev/v1alpha1/namespaces/{}/backendconfigpolicies?dryRun=All"
_OURS_ALONE = (" is no header's name", " is no cookie's ")
"""What the API takes and Envoy does not."""


def _rows() -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load(_REFUSED.read_text()) if one["of"] == "BackendConfigPolicy"]


@pytest.mark.kubernetes
async def test_an_api_server_judges_a_backend_config_policy_as_we_do(api_server: ApiServerProcess) -> None:
    async with real_stage(api_server) as stage:
        path = _PATH.format(stage.namespace)
        whole = changed(BACKEND_CONFIG_POLICY, "metadata.namespace", stage.namespace)
        taken = await stage.api.call("POST", path, whole)
        assert taken["spec"]["outlierDetection"]["baseEjectionTime"] == "30s"
        wrong = []
        for row in _rows():
            object_ = changed(whole, row["at"], row.get("value", ...))
            told = [one.partition(": ")[2] for one in row["problems"]]
            try:
                await stage.api.call("POST", path, object_)
                said = ""
            except AssertionError as error:
                said = str(error)
            is_ours = any(words in one for one in told for words in _OURS_ALONE)
            by_rule = [one for one in told if "items" not in one and "must be given" not in one and "too small" not in one]
            if bool(said) is is_ours or not (is_ours or all(one in said for one in by_rule)):
                wrong.append((row["at"], said[-300:]))
        assert not wrong, wrong
