"""`tritonctl rollout undo`: what it restores, what it refuses, and what it prints."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import a_body
from tests.fake_cluster import NAMESPACE, FakeCluster
from tests.tritonctl import tritonctl
from triton_operator.api.spec import parse
from triton_operator.cli.rollout.undo import merge_patch
from triton_operator.resources.revision_spec import stored_spec

OTHER_IMAGE: dict[str, Any] = {"modelRepository": {"image": {"reference": "example.org/models:2"}}}
NAMES = st.sampled_from("abc")
TREES = st.dictionaries(
    NAMES,
    st.recursive(st.integers() | st.lists(st.integers()), lambda inner: st.dictionaries(NAMES, inner)),
    max_size=3,
)


def revision(number: int, **spec: Any) -> dict[str, Any]:
    """A ControllerRevision with the spec; None for `spec` means that it has none."""
    body = a_body(**spec)
    return {
        "kind": "ControllerRevision",
        "metadata": {"name": f"digits-{number}", "ownerReferences": [{"uid": body["metadata"]["uid"]}]},
        "revision": number,
        "data": {"spec": stored_spec(parse(body).spec)},
    }


def without_spec(found: dict[str, Any]) -> dict[str, Any]:
    """As an earlier operator stored it."""
    return found | {"data": {}}


def put(cluster: FakeCluster, current: str, *revisions: dict[str, Any], **spec: Any) -> None:
    body = a_body(namespace=NAMESPACE, **spec)
    cluster.answer(body | {"status": {"observedGeneration": 1, "revisions": [{"name": current, "current": True}]}})
    cluster.put("controllerrevisions", *revisions)


def changes(cluster: FakeCluster) -> list[Any]:
    """The bodies of the patches."""
    return [body for body in cluster.bodies if body is not None]


def test_undo_returns_to_the_revision_before_and_prints_the_differences(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster
) -> None:
    """Replicas stay; the version of the object ensures that nothing else has changed meanwhile."""
    put(cluster, "digits-9", revision(9, **OTHER_IMAGE), revision(8), revision(7, gpu={}), replicas=5, **OTHER_IMAGE)
    outcome = tritonctl(capsys, "rollout", "undo", "digits")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1] == "models/digits returned to revision 8"
    assert "-      reference: example.org/models:2" in outcome.out
    assert "+      reference: example.org/models:1" in outcome.out
    assert "replicas: 1" not in outcome.out
    spec = {"modelRepository": {"image": {"reference": "example.org/models:1"}}}
    assert changes(cluster) == [{"metadata": {"resourceVersion": "100"}, "spec": spec}]


def test_undo_is_repeated_if_only_the_status_has_changed_meanwhile(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster
) -> None:
    put(cluster, "digits-9", revision(9, **OTHER_IMAGE), revision(8), **OTHER_IMAGE)
    cluster.fail_once("patch modeldeployments", 409)
    outcome = tritonctl(capsys, "rollout", "undo", "digits")
    assert (outcome.code, outcome.err) == (0, "")
    assert len(changes(cluster)) == 2


def test_undo_writes_nothing_if_the_spec_has_changed_meanwhile(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster
) -> None:
    """What is printed is the difference to a spec that is not there any more."""
    put(cluster, "digits-9", revision(9, **OTHER_IMAGE), revision(8), **OTHER_IMAGE)
    edited = a_body(namespace=NAMESPACE, replicas=2, **OTHER_IMAGE)
    edited["metadata"]["generation"] = 2
    cluster.fail_once("patch modeldeployments", 409, changed=edited)
    outcome = tritonctl(capsys, "rollout", "undo", "digits")
    assert outcome.code == 1
    assert "models/digits was changed by another program; nothing was written; try again" in outcome.err
    assert len(changes(cluster)) == 1


def test_undo_removes_fields_that_the_revision_does_not_have(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster
) -> None:
    put(cluster, "digits-9", revision(8), revision(9, gpu={"count": 2}), gpu={"count": 2}, triton={"logLevel": "Info"})
    assert tritonctl(capsys, "rollout", "undo", "digits", "--to-revision", 8).code == 0
    assert changes(cluster)[0]["spec"] == {"gpu": None, "triton": None}


def test_a_dry_run_changes_nothing_but_is_checked_by_the_api_server(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster
) -> None:
    put(cluster, "digits-9", revision(8), revision(9, **OTHER_IMAGE), **OTHER_IMAGE)
    outcome = tritonctl(capsys, "rollout", "undo", "digits", "--dry-run")
    assert outcome.out.splitlines()[-1] == "models/digits would return to revision 8"
    patch = next(request for request in cluster.requests if request.startswith("PATCH"))
    assert patch.endswith("&dryRun=All")


@pytest.mark.parametrize(
    ("before", "field"),
    [
        ({"privacy": {"profile": "Open"}}, "profile: Open"),
        ({"privacy": {"tls": {"mode": "Disabled"}}}, "mode: Disabled"),
        ({"triton": {"openEndpoints": ["Statistics"]}}, "- Statistics"),
    ],
)
def test_protection_does_not_become_weaker_unnoticed(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster, before: dict[str, Any], field: str
) -> None:
    """Without a choice, nothing changes and the message has both; `keep` restores the rest, `restore` everything."""
    put(cluster, "digits-9", revision(8, **before), revision(9, **OTHER_IMAGE), **OTHER_IMAGE)
    outcome = tritonctl(capsys, "rollout", "undo", "digits")
    assert (outcome.code, outcome.out, changes(cluster)) == (2, "", [])
    assert field in outcome.err
    assert "add --privacy keep" in outcome.err
    assert tritonctl(capsys, "rollout", "undo", "digits", "--privacy", "keep").code == 0
    assert changes(cluster)[-1]["spec"] == {"modelRepository": {"image": {"reference": "example.org/models:1"}}}
    assert field in tritonctl(capsys, "rollout", "undo", "digits", "--privacy", "restore").out
    assert changes(cluster)[-1]["spec"].keys() > {"modelRepository"}


def test_the_egress_of_an_earlier_cache_does_not_return_unnoticed(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster
) -> None:
    url = {"modelRepository": {"http": {"url": "https://models.example.org/models.tar"}}}
    cached = {**url, "cache": {"size": "1Gi", "egress": {"cidrs": ["0.0.0.0/0"], "ports": [443]}}}
    put(cluster, "digits-9", revision(8, **cached), revision(9))
    outcome = tritonctl(capsys, "rollout", "undo", "digits")
    assert (outcome.code, outcome.out, changes(cluster)) == (2, "", [])
    assert "0.0.0.0/0" in outcome.err
    assert tritonctl(capsys, "rollout", "undo", "digits", "--privacy", "keep").code == 0
    assert changes(cluster)[-1]["spec"]["cache"] == {"size": "1Gi", "egress": {}}


def test_undo_that_keeps_protection_passes_over_revisions_that_differ_only_in_it(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster
) -> None:
    weaker = revision(8, privacy={"profile": "Open"})
    put(cluster, "digits-9", revision(7, **OTHER_IMAGE), weaker, revision(9))
    outcome = tritonctl(capsys, "rollout", "undo", "digits", "--privacy", "keep")
    assert outcome.out.splitlines()[-1] == "models/digits returned to revision 7"


def test_a_revision_without_a_spec_is_reported(capsys: pytest.CaptureFixture[str], cluster: FakeCluster) -> None:
    """The current one does not matter: its pods are those of the spec."""
    put(cluster, "digits-9", without_spec(revision(8)), without_spec(revision(9)))
    outcome = tritonctl(capsys, "rollout", "undo", "digits")
    assert outcome.code == 1
    assert "revision 8 has no spec, because an earlier version of the operator created it" in outcome.err
    assert changes(cluster) == []


def test_a_spec_that_has_no_revision_yet_returns_to_the_newest_one(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster
) -> None:
    """For example a spec that the operator rejects."""
    put(cluster, "digits-9", revision(8, gpu={}), revision(9), **OTHER_IMAGE)
    assert "returned to revision 9" in tritonctl(capsys, "rollout", "undo", "digits").out


def test_a_spec_that_is_restored_already_is_not_changed(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster
) -> None:
    put(cluster, "digits-9", revision(9))
    outcome = tritonctl(capsys, "rollout", "undo", "digits", "--to-revision", 9)
    assert (outcome.code, outcome.out) == (0, "models/digits already has the spec of revision 9\n")
    assert "there is no earlier revision" in tritonctl(capsys, "rollout", "undo", "digits").err
    assert (
        "no revision 3; existing revisions: 9" in tritonctl(capsys, "rollout", "undo", "digits", "--to-revision", 3).err
    )
    assert changes(cluster) == []


def test_only_undo_has_its_options(capsys: pytest.CaptureFixture[str], cluster: FakeCluster) -> None:
    outcome = tritonctl(capsys, "rollout", "restart", "digits", "--dry-run")
    assert outcome.code == 2
    assert "these options can be used only with undo, not with restart" in outcome.err
    assert cluster.requests == []


@given(TREES, TREES)
def test_a_merge_patch_turns_one_object_into_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert _merged(before, merge_patch(before, after)) == after


def _merged(value: Any, patch: Any) -> Any:
    """The algorithm of RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    found = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            found.pop(key, None)
        else:
            found[key] = _merged(found.get(key), change)
    return found
