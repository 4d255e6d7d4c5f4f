"""What an exported model's answers may differ by."""

from __future__ import annotations

TOLERANCE = 1e-5
"""Largest difference of a value, of itself where it is above 1: the same sums on the same processor."""
