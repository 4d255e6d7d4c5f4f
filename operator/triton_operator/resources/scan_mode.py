"""What `prepare` does with models in which the scan finds something: the user's choice, or the default of the profile.

Pure. `revision` writes it into the request to `prepare`, and `model_tree` copies models that others could change after
the scan.
"""

from __future__ import annotations

from collections.abc import Mapping

from triton_operator.api.privacy import Profile
from triton_operator.api.scan import Scan
from triton_operator.api.spec import Spec

DEFAULT_MODES: Mapping[Profile, Scan] = {
    Profile.OPEN: Scan.WARN,
    Profile.PRIVATE: Scan.WARN,
    Profile.AIR_GAPPED: Scan.REFUSE,
}
"""The mode of each profile, if `spec.verification.scan` is not set."""


def scan_mode(spec: Spec) -> Scan:
    """The mode of this deployment."""
    return (spec.verification.scan if spec.verification else None) or DEFAULT_MODES[spec.privacy.profile]
