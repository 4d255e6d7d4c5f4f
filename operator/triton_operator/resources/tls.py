"""The TLS mode of a deployment: the user's, or the default of its profile.

Pure. A revision stores the mode that it was rendered for, so that a changed default does not change pods.
"""

from __future__ import annotations

from triton_operator.api.privacy import Audit, Profile, TLSMode
from triton_operator.api.spec import Spec

DEFAULT_MODES = {profile: TLSMode.MANAGED if profile.is_private else TLSMode.DISABLED for profile in Profile}

_OF_THE_PROXY = frozenset({TLSMode.MANAGED, TLSMode.SECRET, TLSMode.CERT_MANAGER})


def tls_mode(spec: Spec) -> TLSMode:
    """The mode that new pods of this spec are rendered for."""
    return spec.privacy.tls.mode or DEFAULT_MODES[spec.privacy.profile]


def terminates_tls(spec: Spec) -> bool:
    """Whether new pods of this spec have the sidecar `proxy`, which terminates TLS."""
    return has_proxy(tls_mode(spec))


def has_proxy(mode: TLSMode) -> bool:
    """Whether pods that were rendered with this mode have the sidecar `proxy`."""
    return mode in _OF_THE_PROXY


def needs_proxy(spec: Spec) -> bool:
    """Whether the spec contains settings that only the sidecar `proxy` can enforce."""
    return spec.privacy.clients is not None or spec.privacy.audit not in {None, Audit.OFF}
