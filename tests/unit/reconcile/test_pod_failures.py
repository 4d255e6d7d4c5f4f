"""Each failure of a pod: the status that the kubelet or the scheduler writes, and the resulting message.

The statuses were recorded from a kubelet 1.36, its scheduler and its controllers; `test_status_reasons` tests the whole
status.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.builders import (
    NOW,
    a_deployment,
    a_pod,
    ended_prepare,
    ended_server,
    prepared,
    serving,
    unschedulable,
    waiting,
)
from triton_operator.api.conditions import PREPARE_REASONS, TERMINAL, Reason
from triton_operator.cluster.observed import Container, ObservedCondition, Pod, PodEvent, Terminated
from triton_operator.reconcile.container_ends import Diagnosis, more_memory
from triton_operator.reconcile.messages import MESSAGE_LIMIT, join
from triton_operator.reconcile.pod_failures import diagnose
from triton_operator.triton.prepare_contract.outcome import PrepareFailed, encode

USAGE = (
    "x\n\t--a <b>\n" + "  --log-file <string>\n\tDEPRECATED: Please use --trace-config\n" * 2 + "\tDefault is 0.\n\n"
)
LOAD = "E1122 10:34:27.715872 7 model_lifecycle.cc:642] \"failed to load 'digits' version 3: {}\"\n"
SPEC: dict[str, Any] = {"gpu": {"count": 1}, "triton": {"extraArgs": ["--log-verbose=x", "--metrics-interval-ms=5"]}}


def first_diagnosis(pod: Pod, *events: PodEvent, **spec: Any) -> Diagnosis:
    """The first diagnosis."""
    return diagnose(pod, events, a_deployment(**(SPEC | spec)).spec)[0]


def of_containers(*containers: Container, **pod: Any) -> Pod:
    return a_pod(revision="1", containers=containers, **pod)


def of_the_server(message: str = "", **end: Any) -> Pod:
    return of_containers(prepared(), ended_server(message, **end))


def failed_pod(reason: str, message: str) -> Pod:
    return a_pod(revision="1", containers=(), phase="Failed", reason=reason, message=message)


def of_prepare(reason: str, message: str = "why", model: str = "digits") -> Pod:
    return of_containers(ended_prepare(encode(PrepareFailed(reason, model, message)).decode()))


TABLE: dict[str, tuple[Pod, str, tuple[str, ...]]] = {
    "no GPU": (
        a_pod(revision="1", node="", conditions=(unschedulable("0/1 nodes: 1 Insufficient nvidia.com/gpu."),)),
        Reason.INSUFFICIENT_GPU,
        ("0/1 nodes: 1 Insufficient nvidia.com/gpu", "automatically"),
    ),
    "a taint": (
        a_pod(revision="1", node="", conditions=(unschedulable("0/1 nodes: 1 node(s) had untolerated taint {a: b}."),)),
        Reason.UNSCHEDULABLE,
        ("untolerated taint {a: b}", "once a node can run it"),
    ),
    "a claim without a volume": (
        a_pod(
            revision="1",
            node="",
            claims=("weights",),
            conditions=(unschedulable("pod has unbound immediate PersistentVolumeClaims."),),
        ),
        Reason.VOLUME_UNBOUND,
        ("claim weights in namespace shop is not bound", "automatically"),
    ),
    "a claim that does not exist": (
        a_pod(revision="1", node="", conditions=(unschedulable('persistentvolumeclaim "weights" not found.'),)),
        Reason.DEPENDENCY_MISSING,
        ('"weights"', "namespace shop", "automatically"),
    ),
    "no device for a claim that the operator did not add": (
        a_pod(revision="1", node="", conditions=(unschedulable("0/1 nodes: 1 cannot allocate all claims."),)),
        Reason.UNSCHEDULABLE,
        ("cannot allocate all claims",),
    ),
    "a claim of devices that does not exist": (
        a_pod(revision="1", node="", conditions=(unschedulable('resourceclaim.resource.k8s.io "gpus" not found'),)),
        Reason.DEPENDENCY_MISSING,
        ('"gpus"', "namespace shop"),
    ),
    "a GPU that was gone when the pod came": (
        failed_pod("OutOfnvidia.com/gpu", "Pod was rejected: Node didn't have enough resource: nvidia.com/gpu"),
        Reason.INSUFFICIENT_GPU,
        ("Node didn't have enough resource",),
    ),
    "CPUs that were gone when the pod came": (
        failed_pod("OutOfcpu", "Pod was rejected: Node didn't have enough resource: cpu"),
        Reason.UNSCHEDULABLE,
        ("cpu",),
    ),
    "a full emptyDir": (
        failed_pod("Evicted", 'Usage of EmptyDir volume "models" exceeds the limit "16Mi". '),
        Reason.OUT_OF_SPACE,
        ('EmptyDir volume "models" exceeds the limit "16Mi"', "automatically"),
    ),
    "a full disk of the node": (
        failed_pod(
            "Evicted", "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 9Mi."
        ),
        Reason.OUT_OF_SPACE,
        ("available: 9Mi",),
    ),
    "a container that wrote too much": (
        failed_pod("Evicted", "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. "),
        Reason.OUT_OF_SPACE,
        ("limit of containers 1Gi",),
    ),
    "a node without memory": (
        failed_pod("Evicted", "The node was low on resource: memory. Threshold quantity: 100Mi, available: 9Mi."),
        Reason.OUT_OF_MEMORY,
        ("low on resource: memory",),
    ),
    "a node that ends": (
        failed_pod("Terminated", "Pod was terminated in response to imminent node shutdown."),
        Reason.CRASHED,
        ("imminent node shutdown",),
    ),
    "a node that stopped reporting": (
        a_pod(revision="1", containers=(prepared(), serving()), phase="Running"),
        Reason.NODE_LOST,
        ("node-1", "digits-1", "replaced automatically"),
    ),
    "a pod that its node's loss took": (
        failed_pod("NodeLost", "Node n is unresponsive"),
        Reason.NODE_LOST,
        ("Node n",),
    ),
    "an image that is not there": (
        of_containers(waiting("ImagePullBackOff", 'Back-off pulling image "x:1": ErrImagePull: x:1: not found')),
        Reason.IMAGE_PULL_FAILED,
        ("container triton", '"x:1"', "not found", "5 minutes"),
    ),
    "the operator's image": (
        of_containers(waiting("ErrImagePull", "unauthorized", name="prepare")),
        Reason.IMAGE_PULL_FAILED,
        ("container prepare: unauthorized",),
    ),
    "a Secret for the environment": (
        of_containers(waiting("CreateContainerConfigError", 'secret "creds" not found')),
        Reason.DEPENDENCY_MISSING,
        ('secret "creds" not found', "namespace shop"),
    ),
    "a container that cannot be made": (
        of_containers(waiting("CreateContainerError", "context deadline exceeded")),
        Reason.PODS_NOT_READY,
        ("context deadline exceeded",),
    ),
    "a word of another prepare": (
        of_prepare("Some thing\n new", "why", model=""),
        Reason.PREPARE_FAILED,
        ("Some thing", "why"),
    ),
    "a model that is not in the message": (
        of_prepare(Reason.CONFIG_INVALID, "config.pbtxt: 2:1: what", model="ocr"),
        Reason.CONFIG_INVALID,
        ("model ocr: config.pbtxt: 2:1", "until the cause is fixed"),
    ),
    "prepare without memory": (
        of_containers(
            Container(
                name="prepare",
                init=True,
                terminated=Terminated(exit_code=137, reason="OOMKilled", finished_at=NOW),
                memory_limit="256Mi",
            )
        ),
        Reason.OUT_OF_MEMORY,
        (
            "container prepare exceeded its memory limit of 256Mi",
            "try spec.prepare.resources.limits.memory: 384Mi",
        ),
    ),
    "a cache's Job without memory": (
        of_containers(
            Container(
                name="prepare",
                init=False,
                terminated=Terminated(exit_code=137, reason="OOMKilled", finished_at=NOW),
                memory_limit="256Mi",
            )
        ),
        Reason.OUT_OF_MEMORY,
        ("try spec.cache.resources.limits.memory: 384Mi",),
    ),
    "memory": (
        of_the_server(exit_code=137, reason="OOMKilled", memory_limit="1Gi"),
        Reason.OUT_OF_MEMORY,
        ("limit of 1Gi", "try spec.resources.limits.memory: 1536Mi", "restarted automatically at about 03:05:25 UTC"),
    ),
    "memory without a limit": (
        of_the_server(exit_code=0, reason="OOMKilled"),
        Reason.OUT_OF_MEMORY,
        ("its node ran out", "requests.memory"),
    ),
    "a start that took too long": (
        of_the_server(exit_code=0, reason="Completed", started_at="2026-01-02T02:54:00Z"),
        Reason.STARTUP_TIMEOUT,
        ("600 s", "restarted automatically"),
    ),
    "a start that had to be killed": (
        of_the_server("W1 x", exit_code=137, started_at="2026-01-02T02:53:50Z"),
        Reason.STARTUP_TIMEOUT,
        ("600 s",),
    ),
    "a probe that failed after a day": (
        of_the_server(exit_code=0, reason="Completed", started_at="2026-01-01T02:54:00Z"),
        Reason.CRASHED,
        ("exit code 0", "liveness probe"),
    ),
    "a crash": (
        of_the_server("first\nsecond\n\n", exit_code=139),
        Reason.CRASHED,
        ("exit code 139 (SIGSEGV): first / second", "restarted automatically at about 03:05:25 UTC"),
    ),
    "a model's process": (
        of_the_server("model process of 'digits' died: signal 9", exit_code=137),
        Reason.CRASHED,
        ("exit code 137 (SIGKILL): the process of model 'digits' died: signal 9",),
    ),
    "a model that Triton refuses": (
        of_the_server(LOAD.format("Internal: no TorchScript")),
        Reason.MODEL_LOAD_FAILED,
        ("failed to load 'digits' version 3: Internal: no TorchScript", "until the cause is fixed"),
    ),
    "a warm-up": (
        of_the_server(LOAD.format("Invalid argument: failed to run warmup sample 'zeros for x [3]': boom; ")),
        Reason.WARMUP_FAILED,
        ("version 3", "zeros for x [3]", "boom"),
    ),
    "a backend that the image lacks": (
        of_the_server(LOAD.format("Invalid argument: unable to find backend library for backend 'onnxruntime', try")),
        Reason.UNSUPPORTED_BY_IMAGE,
        ("unable to find backend library for backend 'onnxruntime'",),
    ),
    "an argument with a bad value": (
        of_the_server(USAGE + "Invalid option value. Got x\n\n"),
        Reason.SERVER_ARGUMENT_INVALID,
        ("Invalid option value. Got x", "--log-verbose=x, --metrics-interval-ms=5"),
    ),
    "an argument that Triton does not know": (
        of_the_server(USAGE),
        Reason.SERVER_ARGUMENT_INVALID,
        ("does not support", "--log-verbose=x, --metrics-interval-ms=5"),
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_a_failure_is_reported(case: str) -> None:
    pod, reason, words = TABLE[case]
    diagnosis = first_diagnosis(pod)
    whole = join(diagnosis[1], diagnosis[3])
    assert diagnosis[0] == reason, whole
    assert [word for word in words if word not in whole] == [], whole


@pytest.mark.parametrize("reason", sorted(PREPARE_REASONS))
def test_every_reason_that_prepare_may_have_is_passed_on(reason: str) -> None:
    assert first_diagnosis(of_prepare(reason))[:3] == (reason, "model digits: why", "digits")


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "1/model.pt: code/training/digits.py opens a file",
            "model digits: 1/model.pt: code/training/digits.py opens a file",
        ),
        ("digits_small is broken", "model digits: digits_small is broken"),
        ('"digits": why', '"digits": why'),
        ("the folder of digits is empty", "the folder of digits is empty"),
    ],
)
def test_a_message_that_does_not_name_the_model_gets_its_name(message: str, shown: str) -> None:
    """A file in a path, or another model, may have a name that contains it."""
    text = encode(PrepareFailed(Reason.CONFIG_INVALID, "digits", message)).decode()
    assert first_diagnosis(of_containers(ended_prepare(text))).message == shown


EVENTS = [
    ('MountVolume.SetUp failed for volume "ca" : configmap "corp-ca" not found', Reason.DEPENDENCY_MISSING),
    (
        'MountVolume.SetUp failed for volume "ca" : references non-existent config key: ca.crt',
        Reason.DEPENDENCY_MISSING,
    ),
    (
        'MountVolume.SetUp failed for volume "certificate" : secret "own-certificate" not found',
        Reason.DEPENDENCY_MISSING,
    ),
    ("Unable to attach or mount volumes: timed out", Reason.VOLUME_UNBOUND),
]


@pytest.mark.parametrize(("message", "reason"), EVENTS)
def test_what_only_an_event_says_is_reported_with_the_namespace(message: str, reason: str) -> None:
    pod = of_containers(waiting("ContainerCreating"))
    diagnosis = first_diagnosis(pod, PodEvent(type="Warning", reason="FailedMount", message=message))
    assert diagnosis[0] == reason
    assert diagnosis[1] == f"in namespace shop: {message}"


def test_too_few_devices_for_claims_are_too_few_gpus() -> None:
    """They have no name of a resource, which another message could contain."""
    claims = {"gpu": {"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]}}
    conditions = (unschedulable("0/1 nodes are available: 1 cannot allocate all claims."),)
    assert first_diagnosis(a_pod(revision="1", node="", conditions=conditions), **claims).reason == "InsufficientGPU"
    other = (unschedulable("0/1 nodes are available: 1 Insufficient cpu."),)
    assert first_diagnosis(a_pod(revision="1", node="", conditions=other), **claims).reason == "Unschedulable"
    ended = failed_pod("OutOfcpu", "Pod was rejected: Node didn't have enough resource: cpu")
    assert first_diagnosis(ended, **claims).reason == "Unschedulable"


def test_a_transient_warning_of_the_kubelet_is_no_failure() -> None:
    pod = of_containers(waiting("ContainerCreating"))
    hiccup = 'MountVolume.SetUp failed for volume "config" : object "shop"/"digits-config" not registered'
    spec = a_deployment().spec
    assert diagnose(pod, [PodEvent(type="Warning", reason="FailedMount", message=hiccup)], spec) == ()


def test_an_end_before_the_container_came_up_again_does_not_explain_why_it_is_unready_now() -> None:
    ended = ended_server(exit_code=139)
    again = msgspec.structs.replace(ended, running=True, waiting_reason="", started=False)
    assert first_diagnosis(of_containers(prepared(), again))[0] == Reason.CRASHED
    up = msgspec.structs.replace(again, started=True)
    assert diagnose(of_containers(prepared(), up), (), a_deployment().spec) == ()


def test_every_model_that_triton_rejects_is_reported() -> None:
    log = LOAD.format("Internal: a") + LOAD.replace("digits", "ocr").format("Internal: b")
    diagnosis = diagnose(of_the_server(log), (), a_deployment().spec)
    assert [(each.model, each.message) for each in diagnosis] == [
        ("digits", "failed to load 'digits' version 3: Internal: a"),
        ("ocr", "failed to load 'ocr' version 3: Internal: b"),
    ]


def test_arguments_that_triton_rejects_though_the_user_gave_none_point_at_the_release() -> None:
    assert "spec.triton.version" in first_diagnosis(of_the_server(USAGE), triton={})[1]


def test_a_readiness_gate_that_is_not_passed_is_no_lost_node() -> None:
    """The kubelet reports a reason for it, the node controller does not."""
    gate = ObservedCondition(type="Ready", status="False", reason="ReadinessGatesNotReady")
    pod = of_containers(prepared(), serving(), phase="Running")
    assert (
        diagnose(
            Pod(**{name: getattr(pod, name) for name in pod.__struct_fields__} | {"conditions": (gate,)}),
            (),
            a_deployment().spec,
        )
        == ()
    )


@pytest.mark.parametrize(
    ("limit", "more"),
    [
        ("200Mi", "320Mi"),
        ("512Mi", "768Mi"),
        ("1Gi", "1536Mi"),
        ("1G", "1536Mi"),
        ("2Gi", "3Gi"),
        ("5Gi", "8Gi"),
        ("100m", "64Mi"),
        ("0", ""),
        ("much", ""),
    ],
)
def test_one_and_a_half_times_the_memory_is_proposed_in_round_figures(limit: str, more: str) -> None:
    assert more_memory(limit) == more


def test_of_a_long_message_the_cause_is_cut_and_not_what_follows() -> None:
    message = join("x" * 5000, "it is tried again", "")
    assert len(message) == MESSAGE_LIMIT
    assert message.endswith("…; it is tried again")


def test_only_what_needs_a_person_asks_for_a_fix() -> None:
    for case, (pod, reason, _) in TABLE.items():
        retry_hint = first_diagnosis(pod)[3]
        assert ("fixed" in retry_hint) == (reason in TERMINAL), case
