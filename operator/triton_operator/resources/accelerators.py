"""What the catalogue of the installation says about the GPUs and the architecture that a deployment needs.

Pure. Input: a deployment, its server and the settings. Output: scheduling fields that the user has not set; an
InvalidSpecError if a private profile cannot allow the resource. Only new revisions are rendered with it.
"""

from __future__ import annotations

import msgspec

from triton_operator.api.conditions import Reason
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.spec import ModelDeployment, Scheduling, Spec
from triton_operator.resources.server_image import ServerImage
from triton_operator.resources.settings import AcceleratorDefaults, Settings, covers

GPU_RESOURCES = ("nvidia.com/gpu", "nvidia.com/mig-*", "amd.com/gpu", "gpu.intel.com/i915", "gpu.intel.com/xe")
"""Names under which the vendors' device plugins advertise GPUs that belong to one pod.

Intel's plugin also advertises `gpu.intel.com/i915_monitoring` and `xe_monitoring`: access to all GPUs of the node.
"""

ARCHITECTURE = "kubernetes.io/arch"
"""The label of nodes with their architecture, which the kubelet sets."""


def check_device(spec: Spec, settings: Settings) -> None:
    """Raise InvalidSpecError if the resource may be something else than a GPU of the pod under a private profile."""
    resource = spec.gpu.extended_resource if spec.gpu else ""
    if not resource or not spec.privacy.profile.is_private:
        return
    of_catalogue = (entry.resource_name for entry in settings.accelerators)
    of_images = (name for entry in settings.images for name in entry.resource_names)
    if not any(covers(name, resource) for name in (*GPU_RESOURCES, *of_catalogue, *of_images)):
        raise InvalidSpecError(
            Reason.INVALID_SPEC,
            "spec.gpu.resourceName",
            f"{resource} can be a network device of the node, to which no network policy applies, or give access to "
            "the GPUs of other pods; only the profile Open allows it, unless the administrator of the operator adds it "
            "to the chart value accelerators",
        )


def with_catalogue_defaults(deployment: ModelDeployment, server: ServerImage, settings: Settings) -> ModelDeployment:
    """The deployment with the scheduling that the catalogue adds; what the user has set is not changed."""
    scheduling = deployment.spec.scheduling
    defaults = scheduling_defaults(deployment.spec, server, settings)
    added = {field: value for field in Scheduling.__struct_fields__ if (value := getattr(defaults, field)) is not None}
    if not added:
        return deployment
    if defaults.node_selector:
        added["node_selector"] = {**(scheduling.node_selector or {}), **defaults.node_selector}
    spec = msgspec.structs.replace(deployment.spec, scheduling=msgspec.structs.replace(scheduling, **added))
    return msgspec.structs.replace(deployment, spec=spec)


def scheduling_defaults(spec: Spec, server: ServerImage, settings: Settings) -> Scheduling:
    """Only what the catalogue adds to this spec: tolerations and a RuntimeClass, and one label for the architecture."""
    entry, own = _entry(spec, settings), spec.scheduling
    needs_architecture = server.architecture and ARCHITECTURE not in (own.node_selector or {})
    return Scheduling(
        node_selector={ARCHITECTURE: server.architecture} if needs_architecture else None,
        tolerations=(entry.tolerations or None) if entry and own.tolerations is None else None,
        runtime_class_name=entry.runtime_class_name if entry and own.runtime_class_name is None else None,
    )


def _entry(spec: Spec, settings: Settings) -> AcceleratorDefaults | None:
    """The first one about the resource of the GPUs; none for claims of devices, which do not name one."""
    resource = spec.gpu.extended_resource if spec.gpu else ""
    return next((entry for entry in settings.accelerators if covers(entry.resource_name, resource)), None)
