"""The periods of a rotation of the authority; see `rotation`."""

from __future__ import annotations

from datetime import timedelta

ANNOUNCED = timedelta(hours=24)
"""Time from the creation of an authority until it signs.

Most clients get the new bundle within minutes, but some read it only when they restart.
"""

KEPT = timedelta(days=7)
"""How long an authority is trusted after its successor has become active."""
