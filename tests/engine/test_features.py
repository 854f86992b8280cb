"""What a GatewayClass says that we serve, in the form that its CRD takes."""

from __future__ import annotations

from engine.status.features import FEATURES


def test_the_features_are_sorted_and_fit() -> None:
    """GatewayClassStatus: `supportedFeatures` is sorted by name, a map by name, and at most 64."""
    assert list(FEATURES) == sorted(set(FEATURES))
    assert len(FEATURES) <= 64
    assert not [one for one in FEATURES if one.startswith("Mesh")]
