"""No write that changes nothing, and none left out that takes something of ours away."""

from __future__ import annotations

from typing import Any

import pytest

from streams.sinks.status.owned import changes, owned_by

CONDITION = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": "T"}
OTHER = {"type": "Other", "status": "True", "reason": "Other", "message": "", "lastTransitionTime": "T"}
OWNED = {"f:conditions": {'k:{"type":"Accepted"}': {".": {}, "f:status": {}, "f:type": {}}}}


@pytest.mark.parametrize(
    ("current", "wanted", "owned", "expected"),
    [
        ({}, {"conditions": [CONDITION]}, {}, True),
        ({"conditions": [CONDITION]}, {"conditions": [CONDITION]}, OWNED, False),
        ({"conditions": [OTHER, CONDITION]}, {"conditions": [CONDITION]}, OWNED, False),
        ({"conditions": [CONDITION | {"status": "False"}]}, {"conditions": [CONDITION]}, OWNED, True),
        # Somebody else's condition stands; one of ours that is no longer wanted goes.
        ({"conditions": [OTHER, CONDITION]}, {"conditions": [OTHER]}, {}, False),
        ({"conditions": [OTHER, CONDITION]}, {"conditions": [OTHER]}, OWNED, True),
        ({"conditions": [CONDITION]}, {}, OWNED, True),
        # An atomic list is one value, whatever order it had before.
        ({"addresses": [{"value": "a"}, {"value": "b"}]}, {"addresses": [{"value": "b"}, {"value": "a"}]}, {}, True),
        ({"parents": [{"controllerName": "x"}]}, {"parents": []}, {"f:parents": {}}, True),
        ({"parents": []}, {"parents": []}, {"f:parents": {}}, False),
        # A set, such as supportedFeatures is by name.
        ({"names": ["a", "b"]}, {"names": ["a", "b"]}, {"f:names": {'v:"a"': {}}}, False),
        ({"names": ["a", "b"]}, {"names": ["b", "a"]}, {"f:names": {'v:"c"': {}}}, True),
    ],
)
def test_whether_applying_changes_anything(current: Any, wanted: Any, owned: Any, *, expected: bool) -> None:
    assert changes(current, wanted, owned) is expected


def test_what_we_applied_is_found_among_the_managers() -> None:
    entry = {"manager": "penstock", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": OWNED}}
    fields = [
        {"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {}}},
        entry | {"operation": "Update", "fieldsV1": {"f:status": {"f:old": {}}}},
        entry,
    ]
    assert owned_by({"metadata": {"managedFields": fields}}, "penstock") == OWNED
    assert owned_by({"metadata": {}}, "penstock") == {}
