"""The keys of a real API server in the policy of a deployment, read as the operator's ServiceAccount."""

from __future__ import annotations

import json
from pathlib import Path

from tests.apiserver.api_client import Api
from tests.apiserver.conftest import Kubectl
from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.test_chart import account, await_right, install
from tests.apiserver.test_confinement import kubeconfig_of
from tests.apiserver.world import Namespace
from triton_operator.cluster.issuer import DISCOVERY_PATH, KEYS_PATH
from triton_operator.cluster.observed import Kind
from triton_operator.triton.proxy_contract.policy import decode


async def test_a_namespaced_operator_reads_the_keys_of_the_cluster(
    api: Api, kubectl: Kubectl, kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    user = account(install(kubectl, "namespace", namespace), namespace)
    await_right(api, user, ("create", "", "configmaps", ""), namespace)
    own = kubeconfig_of(api, kubeconfig, namespace, user, tmp_path)
    with OperatorProcess(own, namespace, tmp_path) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            caller = {"name": "shop", "serviceAccount": {"name": "checkout"}}
            await world.create(1, privacy={"tls": {"mode": "Managed"}, "clients": [caller]})
            await world.until_there(Kind.CONFIG_MAP, "m-0-proxy", seconds=300)
            policy = decode((await world.child(Kind.CONFIG_MAP, "m-0-proxy"))["data"]["policy.json"].encode())
    (issuer,) = policy.issuers
    assert issuer.name == api.get(DISCOVERY_PATH)["issuer"]
    published = json.loads(api.get_bytes(KEYS_PATH))["keys"]
    assert {key.kid for key in issuer.keys} == {key["kid"] for key in published}
    assert published
