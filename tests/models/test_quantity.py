"""Quantities of Kubernetes as numbers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.models.quantity import number


@pytest.mark.parametrize(
    ("text", "amount"), [("1Gi", 2**30), ("1.5k", 1500), (7, 7), ("500m", Decimal("0.5")), ("1e3", 1000), ("-1", -1)]
)
def test_a_quantity_is_a_number(text: str | int, amount: Decimal) -> None:
    assert number(text) == amount


@pytest.mark.parametrize("text", ["", "x", "1Zi", "1e999999999", "9" * 40])
def test_what_is_none_or_beyond_all_numbers_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}$"):
        number(text)
