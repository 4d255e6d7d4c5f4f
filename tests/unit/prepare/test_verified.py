"""`prepare` verifies signatures before it reads a model, and serves exactly the files that it verified."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.pod_folders import CONFIG, Pod
from tests.signers import Signer
from triton_operator.api.conditions import Reason
from triton_operator.prepare import verified
from triton_operator.signing.keys import VerificationKey
from triton_operator.signing.verify import verify_model
from triton_operator.triton.prepare_contract.outcome import Prepared
from triton_operator.triton.prepare_contract.request import KeyFile, PreparationModel, SignatureCheck


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(tmp_path)


@pytest.fixture
def pod(tmp_path: Path, signer: Signer) -> Pod:
    """A pod with one signed model, whose signature it requires."""
    (tmp_path / "pod").mkdir()
    pod = Pod(tmp_path / "pod")
    signer.sign(pod.add("digits", v1="model"))
    pod.verify_with(signer)
    pod.ask("digits")
    return pod


def signers(pod: Pod) -> dict[str, str]:
    outcome = pod.prepare()
    assert isinstance(outcome, Prepared), outcome
    return {model.name: model.signed_by for model in outcome.models}


def test_a_signed_model_is_served_and_its_signer_reported(pod: Pod) -> None:
    assert signers(pod) == {"digits": "release"}
    assert (pod.models / "digits" / "1" / "model.pt").read_text() == "model"


def test_an_unsigned_model_is_refused_unless_signatures_are_optional(pod: Pod, signer: Signer) -> None:
    pod.add("other", v1="model")
    pod.ask("digits", "other")
    refused = pod.failure()
    assert (refused.reason, refused.model) == (Reason.MODEL_UNSIGNED, "other")
    pod.verify_with(signer, require=False)
    pod.ask("digits", "other")
    assert signers(pod) == {"digits": "release", "other": ""}


def test_a_wrong_signature_is_refused_also_if_signatures_are_optional(pod: Pod, signer: Signer) -> None:
    (pod.source / "digits" / "1" / "model.pt").write_text("changed")
    pod.verify_with(signer, require=False)
    pod.ask("digits")
    assert pod.failure().reason == Reason.SIGNED_FILE_CHANGED


def test_nothing_is_parsed_before_the_signature_is_verified(pod: Pod) -> None:
    """An invalid configuration would have its own reason."""
    (pod.source / "digits" / "config.pbtxt").write_text("}}}")
    assert pod.failure().reason == Reason.SIGNED_FILE_CHANGED


def test_a_model_in_a_nested_path_has_the_name_of_its_folder(pod: Pod, signer: Signer) -> None:
    signer.sign(pod.add("team/v7/digits", v1="model"))
    pod.ask(("numbers", "team/v7/digits"))
    assert signers(pod) == {"numbers": "release"}


def test_a_model_is_served_from_a_copy_if_others_can_write_to_its_source(pod: Pod) -> None:
    pod.ask_for(PreparationModel("digits", "digits", writable=True))
    assert signers(pod) == {"digits": "release"}
    (pod.source / "digits" / "1" / "model.pt").write_text("changed later")
    served = pod.models / "digits" / "1" / "model.pt"
    assert served.read_text() == "model"
    assert pod.source not in served.resolve().parents


def test_a_file_that_changes_between_copy_and_check_is_refused_or_not_served(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is verified, so a later change of the source has no effect."""
    original = pod.source / "digits" / "1" / "model.pt"

    def change_then_verify(folder: Path, name: str, keys: list[VerificationKey]) -> str:
        original.write_text("changed between")
        return verify_model(folder, name, keys)

    monkeypatch.setattr(verified, "verify_model", change_then_verify)
    pod.ask_for(PreparationModel("digits", "digits", writable=True))
    assert signers(pod) == {"digits": "release"}
    assert (pod.models / "digits" / "1" / "model.pt").read_text() == "model"
    refused = pod.failure()  # The pod restarts and copies the changed file.
    assert refused.reason == Reason.SIGNED_FILE_CHANGED


def test_a_restarted_pod_copies_again(pod: Pod) -> None:
    pod.ask_for(PreparationModel("digits", "digits", writable=True))
    assert signers(pod) == signers(pod) == {"digits": "release"}


def test_a_link_in_a_writable_source_is_refused_before_it_is_followed(pod: Pod, tmp_path: Path) -> None:
    """A pipe without a writer would block whoever opens it."""
    os.mkfifo(tmp_path / "pipe")
    (pod.source / "digits" / "1" / "extra").symlink_to(tmp_path / "pipe")
    pod.ask_for(PreparationModel("digits", "digits", writable=True))
    assert pod.failure().reason == Reason.SIGNED_LINK_FOUND


def test_an_ensemble_without_files_needs_no_signature(pod: Pod) -> None:
    ensemble = (
        'platform: "ensemble"\nmax_batch_size: 8\n'
        'input { name: "x" data_type: TYPE_FP32 dims: 2 }\noutput { name: "y" data_type: TYPE_FP32 dims: 2 }\n'
        'ensemble_scheduling { step { model_name: "digits" model_version: -1 '
        'input_map { key: "x" value: "x" } output_map { key: "y" value: "y" } } }\n'
    )
    pod.ask_for(
        PreparationModel("digits", "digits"), PreparationModel("both", "both", pod.add_config("1.pbtxt", ensemble))
    )
    assert signers(pod) == {"digits": "release", "both": ""}


def test_a_configuration_of_the_object_replaces_that_of_the_signed_model(pod: Pod) -> None:
    pod.ask_for(PreparationModel("digits", "digits", pod.add_config("0.pbtxt", CONFIG)))
    assert signers(pod) == {"digits": "release"}


def test_a_key_in_a_config_map_is_read_and_a_missing_one_is_named(pod: Pod, signer: Signer) -> None:
    key = KeyFile("release", file="signer-0.pem", config_map="signers", config_key="release.pub")
    pod.check_signatures(SignatureCheck((key,)))
    pod.ask("digits")
    missing = pod.failure()
    assert missing.reason == Reason.DEPENDENCY_MISSING
    assert missing.message == (
        'the ConfigMap "signers" of the key "release" does not exist or has no key "release.pub"'
    )
    pod.add_config("signer-0.pem", signer.public_key)
    assert signers(pod) == {"digits": "release"}
    pod.add_config("signer-0.pem", "no key")
    wrong = pod.failure()
    assert wrong.reason == Reason.SIGNER_UNKNOWN
    assert 'key "release" is neither a public key' in wrong.message
