"""A state for each reason that has a page.

Messages of other components (scheduler, kubelet, registry, API server, Triton) were recorded on a real node; all other
messages come from the code. Each state gets an empty folder, for those that need a model repository.
"""

from __future__ import annotations

import contextlib
import copy
import shutil
from base64 import b64encode
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import msgspec
import pytest

from tests import failed_downloads
from tests.archives import a_model_file
from tests.builders import (
    AIR_GAPPED,
    AIR_GAPPED_SETTINGS,
    SETTINGS,
    WITHOUT_TLS,
    a_pod,
    ended_prepare,
    ended_server,
    prepared,
    serving,
    unschedulable,
    waiting,
)
from tests.certificates import Authority
from tests.encrypted import encrypt, wrap
from tests.fakes import World, orphaned
from tests.pod_folders import Pod as Folders
from tests.signers import Signer, forge_signature
from tests.vault_server import VaultServer, failed, vault_server
from triton_operator.api.conditions import Reason
from triton_operator.api.names import CONTAINER_PREPARE, LABEL_PART_OF, MANAGER, SERVING_SECRET
from triton_operator.api.network_probe import NetworkProbe
from triton_operator.certificates.plan import SIZE_LIMIT
from triton_operator.cluster.errors import UnavailableError
from triton_operator.cluster.observed import (
    CertificateState,
    Container,
    DeploymentState,
    JobState,
    Kind,
    ObservedCondition,
    OtherAutoscaler,
    PodEvent,
    ScaledObjectState,
)
from triton_operator.cluster.policy_projection import ObservedPolicy
from triton_operator.cluster.shared_objects import SharedKind
from triton_operator.prepare.errors import PlaintextTooLargeError, PrepareError
from triton_operator.prepare.fetch import retry_budget
from triton_operator.resources.settings import Settings
from triton_operator.triton.prepare_contract.outcome import PrepareFailed, encode
from triton_operator.triton.prepare_contract.request import PreparationModel

State: TypeAlias = Callable[[Path], Awaitable[World]]

STATES: dict[str, State] = {}
"""By reason."""

_POD = "digits-6d4cf56db6-x7k2p"
_CACHED: dict[str, Any] = {"modelRepository": {"http": {"url": failed_downloads.URL}}, "cache": {"size": "50Gi"}}
_BACK_OFF = "ImagePullBackOff"
_NO_ROOM = (
    "no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)


def _state(reason: str) -> Callable[[State], State]:
    def keep(make: State) -> State:
        STATES[reason] = make
        return make

    return keep


async def _new(settings: Settings = SETTINGS, **spec: Any) -> World:
    """A deployment whose objects the operator has created, before any controller has acted."""
    repository = {"image": {"reference": "registry.example.com/models:7"}}
    defaults: dict[str, Any] = {"modelRepository": repository, "privacy": {"profile": "Open"}}
    world = World(settings, **(defaults | spec))
    await world.reconcile()
    return world


async def _with_pod(world: World, *containers: Container, ready: bool = False, **pod: Any) -> World:
    """Its only pod exists."""
    world.roll_out(
        a_pod(_POD, revision=world.template_hash, ready=ready, containers=containers or None, **pod),
    )
    await world.reconcile()
    return world


async def _serving(settings: Settings = SETTINGS, **spec: Any) -> World:
    return await _with_pod(await _new(settings, **spec), ready=True)


async def _report_of_the_deployment(world: World, condition: ObservedCondition) -> World:
    """Kubernetes' Deployment has this condition."""
    state = world.child(Kind.DEPLOYMENT).state
    assert isinstance(state, DeploymentState)
    world.change_child(Kind.DEPLOYMENT, state=msgspec.structs.replace(state, conditions=(condition,)))
    await world.reconcile()
    return world


async def _event(world: World, reason: str, message: str) -> World:
    """The only pod is stuck, and an Event reports the reason."""
    pod = a_pod(_POD, revision=world.template_hash, containers=(waiting("ContainerCreating"),))
    world.cluster.pod_event_log[pod.uid] = [PodEvent(type="Warning", reason=reason, message=message)]
    world.roll_out(pod)
    world.pass_time(30)
    await world.reconcile()
    return world


async def _failed_prepare(folders: Folders, **spec: Any) -> World:
    """`prepare` has run in these folders and failed."""
    folders.failure()
    return await _with_pod(await _new(**spec), ended_prepare(folders.message()))


# --- No failure, or requested by the user.


@_state(Reason.ROLLING_OUT)
async def _rolling_out(_: Path) -> World:
    return await _with_pod(await _new(), prepared(), serving(ready=False))


@_state(Reason.PODS_NOT_READY)
async def _pods_not_ready(_: Path) -> World:
    return await _with_pod(await _serving(), prepared(), serving(ready=False))


@_state(Reason.SUSPENDED)
async def _suspended(_: Path) -> World:
    return await _stopped(await _new(suspend=True))


@_state(Reason.ROLLOUT_PAUSED)
async def _rollout_paused(_: Path) -> World:
    world = await _serving()
    world.edit(triton={"logLevel": "Info"}, rollout={"paused": True})
    old = a_pod(_POD, revision=world.template_hash, ready=True)
    await world.reconcile()
    world.roll_out(old, updated_replicas=0)
    await world.reconcile()
    return world


@_state(Reason.SCALED_TO_ZERO)
async def _scaled_to_zero(_: Path) -> World:
    return await _stopped(await _new(replicas=0))


async def _stopped(world: World) -> World:
    """The Deployment controller has observed that no pod is desired."""
    world.roll_out()
    await world.reconcile()
    return world


@_state(Reason.PROGRESS_DEADLINE_EXCEEDED)
async def _progress_deadline_exceeded(_: Path) -> World:
    world = await _with_pod(await _new(), prepared(), serving(ready=False))
    message = 'ReplicaSet "digits-6d4cf56db6" has timed out progressing.'
    late = ObservedCondition(type="Progressing", status="False", reason="ProgressDeadlineExceeded", message=message)
    return await _report_of_the_deployment(world, late)


@_state(Reason.ROLLED_BACK)
async def _rolled_back(_: Path) -> World:
    world = await _serving(rollout={"rollbackOnFailure": True})
    old = a_pod(_POD, revision=world.template_hash, ready=True)
    world.edit(modelRepository={"image": {"reference": "registry.example.com/models:8"}})
    await world.reconcile()
    message = 'Back-off pulling image "registry.example.com/models:8"'
    new = a_pod("digits-7f9b6c5d44-q8w2z", revision=world.template_hash, containers=(waiting(_BACK_OFF, message),))
    world.roll_out(old, new, updated_replicas=1)
    await world.reconcile()
    text = 'ReplicaSet "digits-7f9b6c5d44" has timed out progressing.'
    late = ObservedCondition(type="Progressing", status="False", reason="ProgressDeadlineExceeded", message=text)
    await _report_of_the_deployment(world, late)
    world.roll_out(old)
    return await _report_of_the_deployment(world, ObservedCondition(type="Progressing", status="True"))


@_state(Reason.REPLICAS_DIFFER)
async def _replicas_differ(_: Path) -> World:
    world = await _new(replicas=2)
    pods = [
        a_pod(
            f"digits-6d4cf56db6-{end}",
            revision=world.template_hash,
            ready=True,
            containers=(prepared(digest=f"sha256:{digest * 8}"), serving()),
        )
        for end, digest in (("x7k2p", "5feceb66"), ("zr9wd", "6b86b273"))
    ]
    world.roll_out(*pods)
    await world.reconcile()
    return world


# --- The spec is not accepted.


@_state(Reason.INVALID_SPEC)
async def _invalid_spec(_: Path) -> World:
    return await _new(models=[{"name": "digits"}, {"name": "digits"}])


@_state(Reason.UNKNOWN_VERSION)
async def _unknown_version(_: Path) -> World:
    return await _new(triton={"version": "25.09"})


@_state(Reason.NAME_CONFLICT)
async def _name_conflict(_: Path) -> World:
    world = World()
    world.cluster.put_stranger(Kind.SERVICE, "digits")
    await world.reconcile()
    return world


@_state(Reason.ADOPTION_REFUSED)
async def _adoption_refused(_: Path) -> World:
    world = await orphaned(adopt="Matching")
    live = copy.deepcopy(world.manifest(Kind.DEPLOYMENT))
    del live["metadata"]["ownerReferences"]
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "example.org/triton:2"
    world.cluster.live[Kind.DEPLOYMENT, "shop", "digits"] = live
    await world.reconcile()
    return world


@_state(Reason.WAITING_FOR_DELETION)
async def _waiting_for_deletion(_: Path) -> World:
    world = World()
    world.cluster.put_stranger(Kind.SERVICE, "digits", owner_uid="uid-of-an-older-digits")
    await world.reconcile()
    return world


async def _unwritten(message: str) -> World:
    """The API server responds with this error to the Deployment, and the operator retries."""
    world = World()
    world.cluster.answers = {Kind.DEPLOYMENT: UnavailableError(message, status=500)}
    with contextlib.suppress(UnavailableError):
        await world.reconcile()
    return world


@_state(Reason.WEBHOOK_FAILED)
async def _webhook_failed(_: Path) -> World:
    return await _unwritten(
        'Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post '
        '"https://policy.tools.svc:443/check?timeout=10s": service "policy" not found'
    )


@_state(Reason.API_SERVER_ERROR)
async def _api_server_error(_: Path) -> World:
    return await _unwritten("etcdserver: mvcc: database space exceeded")


@_state(Reason.CERTIFICATE_INVALID)
async def _certificate_invalid(_: Path) -> World:
    """The namespace has as many certificates as a Secret can contain."""
    world = World(privacy={"tls": {"mode": "Managed"}})
    labels = {LABEL_PART_OF: MANAGER}
    metadata = {"name": SERVING_SECRET, "namespace": "shop", "uid": "u", "resourceVersion": "1", "labels": labels}
    full = {"metadata": metadata, "data": {"filler": b64encode(bytes(SIZE_LIMIT)).decode()}}
    world.cluster.shared.bodies[SharedKind.SECRET, "shop", SERVING_SECRET] = full
    await world.reconcile()
    return world


@_state(Reason.CERTIFICATE_PENDING)
async def _certificate_pending(_: Path) -> World:
    """The issuer does not exist."""
    issuer = {"issuerRef": {"name": "company"}}
    world = World(privacy={"tls": {"mode": "CertManager", "certManager": issuer}})
    await world.reconcile()
    missing = "Issuing certificate as Secret does not exist"
    ready = ObservedCondition(type="Ready", status="False", reason="DoesNotExist", message=missing)
    unknown = 'Referenced "Issuer" not found: issuer.cert-manager.io "company" not found'
    event = PodEvent(type="Normal", reason="IssuerNotFound", message=unknown)
    world.cluster.request_event_log["digits-tls-1"] = [event]
    world.change_child(Kind.CERTIFICATE, "digits-tls", state=CertificateState(conditions=(ready,)))
    await world.reconcile()
    return world


# --- `prepare` fails.


@_state(Reason.MODEL_NOT_FOUND)
async def _model_not_found(folder: Path) -> World:
    folders = Folders(folder)
    folders.add("digits", v1="model")
    folders.add("linear_regression", v1="model")
    folders.ask(("digits", "digitz"))
    return await _failed_prepare(folders, models=[{"name": "digits", "path": "digitz"}])


@_state(Reason.MODEL_VERSION_NOT_FOUND)
async def _model_version_not_found(folder: Path) -> World:
    folders = Folders(folder)
    (folders.add("digits") / "model.pt").write_text("model")
    return await _failed_prepare(folders)


@_state(Reason.CONFIG_INVALID)
async def _config_invalid(folder: Path) -> World:
    folders = Folders(folder)
    folders.add("digits", config='name: "mnist"\nbackend: "pytorch"\n', v1="model")
    return await _failed_prepare(folders)


@_state(Reason.DIGEST_MISMATCH)
async def _digest_mismatch(folder: Path) -> World:
    pinned = f"sha256:{'0123456789abcdef' * 4}"
    folders = Folders(folder)
    folders.add("digits", v1="model")
    folders.ask_for(PreparationModel("digits", "digits", digest=pinned))
    return await _failed_prepare(folders, models=[{"name": "digits", "digest": pinned}])


@_state(Reason.MODEL_UNSIGNED)
async def _model_unsigned(folder: Path) -> World:
    return await _refused_by_verification(folder, lambda model: (model / "model.sig").unlink())


@_state(Reason.SIGNER_UNKNOWN)
async def _signer_unknown(folder: Path) -> World:
    return await _refused_by_verification(folder, lambda model: Signer(folder, 2).sign(model))


@_state(Reason.SIGNATURE_INVALID)
async def _signature_invalid(folder: Path) -> World:
    return await _refused_by_verification(folder, forge_signature)


@_state(Reason.SIGNATURE_OF_OTHER_MODEL)
async def _signature_of_other_model(folder: Path) -> World:
    def replace(model: Path) -> None:
        shutil.rmtree(model)
        model.with_name("linear_regression").rename(model)

    return await _refused_by_verification(folder, replace)


@_state(Reason.SIGNED_FILE_CHANGED)
async def _signed_file_changed(folder: Path) -> World:
    return await _refused_by_verification(folder, lambda model: (model / "1" / "model.pt").write_text("other"))


@_state(Reason.SIGNED_FILES_ADDED)
async def _signed_files_added(folder: Path) -> World:
    return await _refused_by_verification(folder, lambda model: (model / "1" / "plugin.so").write_text(""))


@_state(Reason.SIGNED_FILES_MISSING)
async def _signed_files_missing(folder: Path) -> World:
    return await _refused_by_verification(folder, lambda model: (model / "1" / "model.pt").unlink())


@_state(Reason.SIGNED_LINK_FOUND)
async def _signed_link_found(folder: Path) -> World:
    return await _refused_by_verification(folder, lambda model: (model / "1" / "extra").symlink_to("/etc/passwd"))


@_state(Reason.MODEL_SCAN_REFUSED)
async def _model_scan_refused(folder: Path) -> World:
    folders = Folders(folder)
    folders.add("digits", v1=a_model_file(None, code='def f(x):\n  torch.save(x, "/tmp/x")\n'))
    folders.refuse_findings()
    folders.ask("digits")
    return await _failed_prepare(folders, verification={"scan": "Refuse"})


async def _refused_by_verification(folder: Path, tamper: Callable[[Path], object]) -> World:
    """Two signed models; one of them is changed afterwards."""
    folders, signer = Folders(folder), Signer(folder)
    for name in ("digits", "linear_regression"):
        signer.sign(folders.add(name, v1="model"))
    tamper(folders.source / "digits")
    folders.verify_with(signer)
    folders.ask("digits")
    return await _failed_prepare(folders, verification={"keys": [{"name": "release", "publicKey": signer.public_key}]})


@_state(Reason.DECRYPTION_KEY_MISSING)
async def _decryption_key_missing(folder: Path) -> World:
    folders = Folders(folder)
    encrypt(folders, folders.add("digits", v1="model")).unlink()
    folders.ask("digits")
    return await _failed_prepare(folders)


@_state(Reason.DECRYPTION_FAILED)
async def _decryption_failed(folder: Path) -> World:
    folders = Folders(folder)
    encrypt(folders, folders.add("digits", v1="model"))
    file = folders.source / "digits" / "1" / "model.pt.enc"
    file.write_bytes(file.read_bytes()[:-1])
    folders.ask("digits")
    return await _failed_prepare(folders)


@_state(Reason.VAULT_DENIED)
async def _vault_denied(folder: Path) -> World:
    with vault_server() as vault:
        vault.roles = {"others": "models"}
        return await _failed_vault(folder, vault)


@_state(Reason.VAULT_UNTRUSTED)
async def _vault_untrusted(folder: Path) -> World:
    authority = Authority()
    with vault_server(authority.issue(folder, ["127.0.0.1"])) as vault:
        return await _failed_vault(folder, vault, authority.pem.encode())


@_state(Reason.VAULT_UNREACHABLE)
async def _vault_unreachable(folder: Path) -> World:
    with vault_server() as vault, pytest.MonkeyPatch.context() as patch:
        patch.setattr(retry_budget, "time", SimpleNamespace(monotonic=iter((0.0, 30.0)).__next__))
        vault.answer = lambda path: failed(503, "Vault is sealed") if "login" in path else None
        return await _failed_vault(folder, vault)


async def _failed_vault(folder: Path, vault: VaultServer, authorities: bytes | None = None) -> World:
    """An encrypted model whose key is in the vault, at an address that is always the same in the message."""
    folders = Folders(folder)
    wrap(folders, vault, folders.add("digits", v1="model"), authorities=authorities)
    folders.ask("digits")
    folders.failure()
    message = folders.message().replace(vault.address, "https://vault.example.com:8200")
    return await _with_pod(await _new(), ended_prepare(message))


@_state(Reason.PLAINTEXT_TOO_LARGE)
async def _plaintext_too_large(_: Path) -> World:
    message = PlaintextTooLargeError(needed=3 << 30, free=2 << 30)
    return await _with_pod(
        await _new(), ended_prepare(encode(PrepareFailed(message.reason, "", str(message))).decode())
    )


@_state(Reason.PREPARE_FAILED)
async def _prepare_failed(_: Path) -> World:
    return await _with_pod(await _new(), ended_prepare("", exit_code=143))


# --- Models cannot be fetched.


async def _failed_download(error: PrepareError) -> World:
    """`prepare` has ended with this error."""
    message = encode(PrepareFailed(error.reason, error.model, str(error))).decode()
    world = await _new(modelRepository={"http": {"url": failed_downloads.URL}})
    return await _with_pod(world, ended_prepare(message))


@_state(Reason.SOURCE_NOT_FOUND)
async def _source_not_found(folder: Path) -> World:
    return await _failed_download(failed_downloads.of_a_file_that_is_not_there(folder))


@_state(Reason.ACCESS_DENIED)
async def _access_denied(folder: Path) -> World:
    return await _failed_download(failed_downloads.of_a_file_that_needs_credentials(folder))


@_state(Reason.SOURCE_INVALID)
async def _source_invalid(folder: Path) -> World:
    return await _failed_download(failed_downloads.of_an_archive_that_leads_out(folder))


@_state(Reason.SOURCE_UNTRUSTED)
async def _source_untrusted(_: Path) -> World:
    return await _failed_download(failed_downloads.from_a_server_that_nobody_vouches_for())


@_state(Reason.SOURCE_UNREACHABLE)
async def _source_unreachable(_: Path) -> World:
    return await _failed_download(failed_downloads.from_a_server_that_breaks_off())


@_state(Reason.OUT_OF_SPACE)
async def _out_of_space(_: Path) -> World:
    return await _failed_download(failed_downloads.of_more_than_fits())


@_state(Reason.CACHING)
async def _caching(_: Path) -> World:
    return await _new(**_CACHED)


# --- The pod does not start.


@_state(Reason.INSUFFICIENT_GPU)
async def _insufficient_gpu(_: Path) -> World:
    message = f"0/1 nodes are available: 1 Insufficient nvidia.com/gpu. {_NO_ROOM}"
    return await _with_pod(await _new(gpu={"count": 1}), node="", conditions=(unschedulable(message),))


@_state(Reason.UNSCHEDULABLE)
async def _unschedulable(_: Path) -> World:
    message = f"0/1 nodes are available: 1 Insufficient cpu. {_NO_ROOM}"
    return await _with_pod(await _new(), node="", conditions=(unschedulable(message),))


@_state(Reason.VOLUME_UNBOUND)
async def _volume_unbound(_: Path) -> World:
    message = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
    world = await _new(modelRepository={"pvc": {"claimName": "models"}})
    return await _with_pod(world, node="", claims=("models",), conditions=(unschedulable(message),))


@_state(Reason.DEPENDENCY_MISSING)
async def _dependency_missing(_: Path) -> World:
    message = '0/1 nodes are available: persistentvolumeclaim "modles" not found. not found'
    world = await _new(modelRepository={"pvc": {"claimName": "modles"}})
    return await _with_pod(world, node="", conditions=(unschedulable(message),))


@_state(Reason.IMAGE_PULL_FAILED)
async def _image_pull_failed(_: Path) -> World:
    message = (
        'Back-off pulling image "registry.example.com/models:7": ErrImagePull: failed to pull and unpack image '
        '"registry.example.com/models:7": failed to resolve image: failed to do request: Head '
        '"https://registry.example.com/v2/models/manifests/7": dial tcp: lookup registry.example.com on '
        "10.255.255.53:53: dial udp 10.255.255.53:53: connect: network is unreachable"
    )
    return await _with_pod(await _new(), waiting("ImagePullBackOff", message, name=CONTAINER_PREPARE))


@_state(Reason.QUOTA_EXCEEDED)
async def _quota_exceeded(_: Path) -> World:
    message = (
        'pods "digits-6d4cf56db6-x7k2p" is forbidden: exceeded quota: small, '
        "requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1"
    )
    return await _refused(message)


@_state(Reason.FORBIDDEN)
async def _forbidden(_: Path) -> World:
    message = 'pods "digits-6d4cf56db6-x7k2p" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi'
    return await _refused(message)


async def _refused(message: str) -> World:
    failure = ObservedCondition(type="ReplicaFailure", status="True", reason="FailedCreate", message=message)
    return await _report_of_the_deployment(await _new(), failure)


# --- The server exits.


@_state(Reason.MODEL_LOAD_FAILED)
async def _model_load_failed(_: Path) -> World:
    log = (
        "E1122 03:04:05.678901 1 model_lifecycle.cc:642] \"failed to load 'digits' version 1: Internal: "
        "TritonModelException: 1/model.pt is text, not TorchScript: export it with "
        "torch.jit.script(model.eval()).save('model.pt')\"\n"
        "error: creating server: Internal - failed to load all models\n"
    )
    return await _ended(log)


@_state(Reason.WARMUP_FAILED)
async def _warmup_failed(_: Path) -> World:
    log = (
        "warm-up of model 'digits' version 1 failed: the model failed: mat1 and mat2 shapes cannot be multiplied "
        "(1x3 and 2x1) (sent INPUT__0 [1, 3] float32)\n"
    )
    return await _ended(log)


@_state(Reason.UNSUPPORTED_BY_IMAGE)
async def _unsupported_by_image(_: Path) -> World:
    small = msgspec.structs.replace(SETTINGS.images[1], backends=("pytorch", "python", "aotinductor"))
    return await _new(msgspec.structs.replace(SETTINGS, images=(small,)), models=[{"name": "digits", "format": "ONNX"}])


@_state(Reason.SERVER_ARGUMENT_INVALID)
async def _server_argument_invalid(_: Path) -> World:
    return await _new(triton={"extraArgs": ["--http-thread-counts=16"]})


@_state(Reason.OUT_OF_MEMORY)
async def _out_of_memory(_: Path) -> World:
    return await _with_pod(
        await _new(), prepared(), ended_server(exit_code=137, reason="OOMKilled", memory_limit="512Mi")
    )


@_state(Reason.CRASHED)
async def _crashed(_: Path) -> World:
    return await _ended("Signal (11) received.", exit_code=139)


@_state(Reason.STARTUP_TIMEOUT)
async def _startup_timeout(_: Path) -> World:
    late = ended_server(exit_code=0, reason="Completed", started_at="2026-01-02T02:54:05Z")
    return await _with_pod(await _new(), prepared(), late)


async def _ended(log: str, exit_code: int = 1, **spec: Any) -> World:
    return await _with_pod(await _new(**spec), prepared(), ended_server(log, exit_code=exit_code))


@_state(Reason.NODE_LOST)
async def _node_lost(_: Path) -> World:
    world = await _serving()
    return await _with_pod(world, prepared(), serving(ready=True), node="node-3")


# --- Other conditions.


@_state(Reason.TLS_NOT_CONFIGURED)
async def _tls_not_configured(_: Path) -> World:
    return await _serving(privacy=WITHOUT_TLS)


@_state(Reason.POLICY_MISSING)
async def _policy_missing(_: Path) -> World:
    world = await _serving(privacy={"profile": "Private"})
    world.vanish(Kind.NETWORK_POLICY)
    world.cluster.refuse = Kind.NETWORK_POLICY
    await world.reconcile()
    return world


@_state(Reason.CACHE_EGRESS_OPEN)
async def _cache_egress_open(_: Path) -> World:
    world = await _new(**_CACHED, privacy={"profile": "Private"})
    (name,) = world.names(Kind.JOB)
    state = world.child(Kind.JOB, name).state
    assert isinstance(state, JobState)
    world.change_child(Kind.JOB, name, state=msgspec.structs.replace(state, complete=True))
    await world.reconcile()
    return await _with_pod(world, ready=True)


@_state(Reason.OTHER_POLICY_OPENS_POD)
async def _other_policy_opens_pod(_: Path) -> World:
    world = await _serving(privacy={"profile": "Private"})
    policy = ObservedPolicy(namespace="shop", name="allow-dns", uid="1", resource_version=1, allows_egress=True)
    world.cache.policies.put(policy)
    await world.reconcile()
    return world


@_state(Reason.OTHER_AUTOSCALER)
async def _other_autoscaler(_: Path) -> World:
    world = await _serving(privacy={"profile": "Open"})
    state = world.child(Kind.DEPLOYMENT).state
    assert isinstance(state, DeploymentState)
    world.cluster.autoscalers = [OtherAutoscaler(name="digits-cpu")]
    scaled = {"scaled_by": "kube-controller-manager", "owns_replicas": False}
    world.change_child(Kind.DEPLOYMENT, state=msgspec.structs.replace(state, **scaled))
    await world.reconcile()
    return await _with_pod(world, ready=True)


_CONTROLLER = {"network": {"allowFrom": [{"namespaceSelector": {"matchLabels": {"name": "ingress-nginx"}}}]}}
_INGRESS = {"ingress": {"className": "nginx", "host": "digits.example.com", "tls": {}}}


@_state(Reason.ADDRESS_PENDING)
async def _address_pending(_: Path) -> World:
    return await _serving(exposure=_INGRESS, privacy=_CONTROLLER)


_GATEWAY = {"gateway": {"parentRefs": [{"name": "web", "namespace": "infra"}], "hostnames": ["digits.example.com"]}}


@_state(Reason.GATEWAY_API_NOT_INSTALLED)
async def _gateway_api_not_installed(_: Path) -> World:
    world = World(exposure=_GATEWAY, privacy=_CONTROLLER)
    world.cache.unavailable |= dict.fromkeys((Kind.HTTP_ROUTE, Kind.GRPC_ROUTE), HTTPStatus.NOT_FOUND)
    await world.reconcile()
    return await _with_pod(world, ready=True)


@_state(Reason.ROUTE_PENDING)
async def _route_pending(_: Path) -> World:
    return await _serving(exposure=_GATEWAY, privacy=_CONTROLLER)


@_state(Reason.ROUTE_NOT_ACCEPTED)
async def _route_not_accepted(_: Path) -> World:
    world = await _serving(exposure=_GATEWAY, privacy=_CONTROLLER)
    message = "no listener has a hostname that matches digits.example.com"
    refused = ObservedCondition(type="Accepted", status="False", reason="NoMatchingListenerHostname", message=message)
    world.report_route(Kind.HTTP_ROUTE, "infra", "web", refused)
    await world.reconcile()
    return world


@_state(Reason.HOST_IN_USE)
async def _host_in_use(_: Path) -> World:
    world = await _serving(exposure=_INGRESS, privacy=_CONTROLLER)
    world.expose_elsewhere(_INGRESS, created_at="2026-01-01T00:00:00Z")
    await world.reconcile()
    return world


@_state(Reason.CALLERS_NOT_NAMED)
async def _callers_not_named(_: Path) -> World:
    world = World(exposure=_INGRESS, privacy=_CONTROLLER)
    world.cache.network_probe = NetworkProbe("2026-01-02T02:00:00Z", "v1.36.1", ("node-1",), ingress=True, egress=True)
    await world.reconcile()
    return await _with_pod(world, ready=True)


async def _scaled_by_keda(profile: str, *conditions: ObservedCondition) -> World:
    """A ScaledObject exists, with these conditions."""
    autoscaling = {"maxReplicas": 4, "provider": "KEDA", "metrics": [{"type": "PendingRequests"}]}
    world = await _serving(privacy={"profile": profile}, autoscaling=autoscaling)
    world.change_child(Kind.SCALED_OBJECT, state=ScaledObjectState(conditions=conditions))
    await world.reconcile()
    return world


@_state(Reason.KEDA_NOT_INSTALLED)
async def _keda_not_installed(_: Path) -> World:
    world = await _scaled_by_keda("Open")
    world.cache.unavailable[Kind.SCALED_OBJECT] = HTTPStatus.NOT_FOUND
    world.cache.children.replace(Kind.SCALED_OBJECT, [], None)
    await world.reconcile()
    return world


@_state(Reason.METRICS_BLOCKED)
async def _metrics_blocked(_: Path) -> World:
    return await _scaled_by_keda("Private")


@_state(Reason.PAUSED)
async def _paused(_: Path) -> World:
    return await _scaled_by_keda("Open", ObservedCondition(type="Paused", status="True"))


@_state(Reason.NETWORK_NOT_PROVEN)
async def _network_not_proven(_: Path) -> World:
    return await _serving(privacy={"profile": "Private"})


@_state(Reason.NETWORK_NOT_ENFORCED)
async def _network_not_enforced(_: Path) -> World:
    return await _probed(ingress=False, egress=False)


@_state(Reason.TLS_NOT_VERIFIABLE)
async def _tls_not_verifiable(_: Path) -> World:
    return await _probed(ingress=True, egress=True)


async def _probed(*, ingress: bool, egress: bool) -> World:
    """Somebody has run `tritonctl doctor --probe`, with this result."""
    world = await _serving(privacy={"profile": "Private", "tls": {"mode": "External"}})
    world.cache.network_probe = NetworkProbe("2026-01-02T02:00:00Z", "v1.36.1", ("node-1",), ingress, egress)
    await world.reconcile()
    return world


@_state(Reason.NOT_AIR_GAPPED)
async def _not_air_gapped(_: Path) -> World:
    """The change of the profile is refused, because the models are not signed."""
    world = await _serving(AIR_GAPPED_SETTINGS, **(AIR_GAPPED | {"verification": None, "privacy": {}}))
    world.cache.network_probe = NetworkProbe("2026-01-02T02:00:00Z", "v1.36.1", ("node-1",), ingress=True, egress=True)
    world.edit(privacy={"profile": "AirGapped"})
    await world.reconcile()
    return world


@_state(Reason.BELOW_SECURITY_FLOOR)
async def _below_security_floor(_: Path) -> World:
    return await _serving()


@_state(Reason.RELEASE_UNKNOWN)
async def _version_unknown(_: Path) -> World:
    return await _serving(triton={"image": "registry.example.com/tritonserver:latest"})
