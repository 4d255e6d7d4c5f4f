"""The policy of the sidecar `proxy`, and the ConfigMap `<name>-proxy` that contains it.

Pure. Input: a spec and the ProxyInputs. Output: a ProxyPolicy, or InvalidSpecError with the path of the field that
cannot be used. The ConfigMap is updated in place, and the proxy reads it again, so no pod is restarted.
"""

from __future__ import annotations

from triton_operator.api.names import proxy_config_name
from triton_operator.api.privacy import Audit
from triton_operator.api.serving_names import serving_names
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.resources.body_limit import max_body_bytes
from triton_operator.resources.callers import CallerBuilder, checked, content_of
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.model_configs import known_messages, render_configs
from triton_operator.resources.pod import open_endpoints
from triton_operator.resources.proxy_inputs import ProxyInputs
from triton_operator.resources.public_keys import certificates_of_pem
from triton_operator.triton.proxy_contract.policy import POLICY_FILE, Limits, ProxyPolicy, encode


def build_proxy_policy(deployment: ModelDeployment, inputs: ProxyInputs) -> ProxyPolicy:
    """The policy; raises InvalidSpecError."""
    spec = deployment.spec
    clients = spec.privacy.clients
    builder = CallerBuilder(deployment.metadata, inputs)
    callers = None
    if clients is not None:
        callers = tuple(builder.build(client, f"spec.privacy.clients[{index}]") for index, client in enumerate(clients))
    return ProxyPolicy(
        callers=callers,
        issuers=builder.issuers,
        client_cas=_client_cas(spec, inputs),
        server_names=serving_names(deployment.metadata.namespace, deployment.metadata.name, spec.service.hostnames),
        open_endpoints=open_endpoints(spec),
        limits=Limits(max_body_bytes=max_body_bytes(spec, known_messages(render_configs(spec)))),
        audit=spec.privacy.audit or Audit.ALL,
    )


def build_proxy_config(deployment: ModelDeployment, policy: ProxyPolicy) -> Manifest:
    """The ConfigMap that the sidecar mounts."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": child_metadata(deployment, proxy_config_name(deployment.metadata.name)),
        "data": {POLICY_FILE: encode(policy)},
    }


def _client_cas(spec: Spec, inputs: ProxyInputs) -> str:
    if spec.privacy.client_cas is None:
        return ""
    path = "spec.privacy.clientCas.configMapRef"
    text = content_of(spec.privacy.client_cas.config_map_ref, inputs, path)
    return "" if text is None else checked(certificates_of_pem, text, path)
