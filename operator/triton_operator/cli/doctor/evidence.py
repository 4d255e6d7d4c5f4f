"""What kubectl says about a cluster, gathered at once: one request for each question, several under way at a time.

Input: the options of the command. Output: `Evidence`, frozen; an answer that could not be had is an SdkError in its
place, because what a user may not look at is no illness. `checks` judge it.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

from triton_operator.api.names import GROUP, LABEL_DEPLOYMENT, MANAGER, PLURAL
from triton_operator.cli.kubectl.cluster import REQUEST_SECONDS, place
from triton_operator.sdk.errors import SdkError, UnreachableError
from triton_operator.sdk.kubectl import Kubectl, explain

Object: TypeAlias = dict[str, Any]
Answer: TypeAlias = Object | SdkError

_AT_A_TIME = 4
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
_CLIENT = re.compile(r'"clientVersion"')


@dataclass(frozen=True)
class Evidence:
    """Every answer, by its question; `namespace` is the one that was meant."""

    namespace: str
    answers: Mapping[str, Answer]

    def __getitem__(self, question: str) -> Answer:
        """The answer, or why there is none."""
        return self.answers[question]


def gather(kubectl: Kubectl, namespace: str) -> Evidence:
    """Ask everything; raises UnreachableError where there is no kubectl at all."""
    kubectl.command()
    version = _asked(kubectl, "version", "-o", "json")
    if isinstance(version, SdkError) or "serverVersion" not in version:
        return Evidence(namespace, {"version": version})
    chosen = namespace or _current_namespace(kubectl)
    questions = _questions(kubectl, chosen)
    with ThreadPoolExecutor(_AT_A_TIME) as beside:
        asked = {name: beside.submit(ask) for name, ask in questions.items()}
        answers = {name: answer.result() for name, answer in asked.items()}
    return Evidence(chosen, {"version": version, **answers})


def _questions(kubectl: Kubectl, namespace: str) -> dict[str, Callable[[], Answer]]:
    """Each question as a function that asks it."""

    def get(*arguments: str) -> Callable[[], Answer]:
        return lambda: _asked(kubectl, "get", *arguments, "-o", "json")

    def raw(path: str) -> Callable[[], Answer]:
        return lambda: _asked(kubectl, "get", "--raw", path)

    operator = ("-l", "app.kubernetes.io/part-of=triton-operator,app.kubernetes.io/component=operator")
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    return {
        "definition": get("customresourcedefinitions.apiextensions.k8s.io", f"{PLURAL}.{GROUP}"),
        "api": raw(f"/apis/{GROUP}"),
        "operator": get("deployments.apps", "--all-namespaces", *operator),
        "lease": get("leases.coordination.k8s.io", "--all-namespaces", f"--field-selector=metadata.name={MANAGER}"),
        "rights": lambda: _asked(kubectl, "create", "--raw", _REVIEWS, "-f", "-", stdin=json.dumps(review)),
        "deployments": get(f"{PLURAL}.{GROUP}", *place(namespace)),
        "pods": get("pods", "-l", LABEL_DEPLOYMENT, *place(namespace)),
        "metrics": raw("/apis/metrics.k8s.io/v1beta1"),
        "nodes": get("nodes"),
        "agents": get("daemonsets.apps", "--all-namespaces"),
    }


def _asked(kubectl: Kubectl, *arguments: str, stdin: str = "") -> Answer:
    command = kubectl.command(*arguments, f"--request-timeout={REQUEST_SECONDS}s")
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, check=False, timeout=2 * REQUEST_SECONDS
        )
    except subprocess.TimeoutExpired:
        return UnreachableError(f"kubectl {arguments[0]} gave no answer within {2 * REQUEST_SECONDS} s")
    if done.returncode and not _CLIENT.search(done.stdout):
        return explain(done.stderr)
    try:
        found = json.loads(done.stdout)
    except json.JSONDecodeError:
        return SdkError(f"kubectl {arguments[0]} gave no JSON, but {done.stdout[:80]!r}")
    if done.returncode:  # `version` prints its own version where the server does not answer.
        return explain(done.stderr)
    return found if isinstance(found, dict) else SdkError(f"kubectl {arguments[0]} gave no object")


def _current_namespace(kubectl: Kubectl) -> str:
    command = kubectl.command("config", "view", "--minify", "-o", "jsonpath={..namespace}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "default"
