"""The source of Triton's configuration: the object, a ConfigMap, the repository, or the model's signature."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.archives import EXTRA, SIGNATURE, a_model_file, an_archive
from tests.pod_folders import CONFIG, Pod
from triton_operator.api.conditions import Reason
from triton_operator.api.model import AllVersions, SpecificVersions, VersionPolicy
from triton_operator.triton.config.defaults import TuningInputs, complete
from triton_operator.triton.model_file.signature import Signature, TensorSpec, encode
from triton_operator.triton.prepare_contract.request import PreparationModel
from triton_operator.triton.text.parser import Message, parse

TENSORS = """
max_batch_size: 64
input { name: "INPUT__0" data_type: TYPE_FP32 dims: [1, 28, 28] }
output { name: "OUTPUT__0" data_type: TYPE_FP32 dims: 10 }
"""
WHOLE = 'backend: "pytorch"' + TENSORS
WRONG = WHOLE.replace("[1, 28, 28]", "64")
ENSEMBLE = """
platform: "ensemble"
ensemble_scheduling { step { model_name: "x" model_version: -1 } }
"""
MODEL = a_model_file()
FACTS = TuningInputs(cpus=2)


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    """Create a pod whose object requests the model `digits`."""
    return Pod(tmp_path)


def is_linked(pod: Pod) -> bool:
    """Whether Triton reads the unchanged file of the repository."""
    return (pod.models / "digits" / "config.pbtxt").is_symlink()


def test_a_signature_is_all_that_a_model_needs(pod: Pod) -> None:
    """Without config.pbtxt, the generated file is complete and contains the tuned values for this pod."""
    pod.add("digits", None, v1=MODEL)
    pod.ask_for(PreparationModel("digits", "digits", tuning=FACTS))
    expected = complete(parse(f'name: "digits" {WHOLE}'), FACTS).message
    assert {"instance_group", "dynamic_batching", "model_warmup"} <= set(expected)
    assert pod.served() == expected


def test_a_compiled_file_has_a_signature_just_so(pod: Pod) -> None:
    """The object declares the format; the file of AOTInductor contains the signature."""
    members = (
        ("data/aotinductor/model/code.wrapper.so", b"ELF"),
        ("archive_format", b"pt2"),
        (EXTRA, encode(SIGNATURE)),
    )
    folder = pod.add("digits", None, v1=an_archive(*members))
    (folder / "1" / "model.pt").rename(folder / "1" / "model.pt2")
    pod.ask_for(PreparationModel("digits", "digits", format="AOTInductor"))
    assert pod.served() == parse('name: "digits" platform: "torch_aoti"' + TENSORS)
    members = (*members[:2], (EXTRA, b"{}"))
    (folder / "1" / "model.pt2").write_bytes(an_archive(*members))
    assert "/digits/1/model.pt2: triton_signature.json cannot be read" in pod.failure().message


def compiled(*members: tuple[str, bytes]) -> bytes:
    """Build a file in the format of AOTInductor."""
    return an_archive(("data/aotinductor/model/code.wrapper.so", b"ELF"), ("archive_format", b"pt2"), *members)


@pytest.mark.parametrize("name", ["config.pbtxt", "1/model.pt", "1/words.txt"])
def test_a_pipe_in_the_repository_does_not_block_the_pod(pod: Pod, name: str) -> None:
    """A volume can contain one; a reader would wait until somebody writes."""
    folder = pod.add("digits", WHOLE, v1=MODEL)
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    pod.ask_for(PreparationModel("digits", "digits"))
    assert pod.failure().reason in {"ConfigInvalid", "ModelVersionNotFound", "ModelNotFound"}


def test_a_folder_with_nothing_but_a_compiled_file_is_known_by_its_name(pod: Pod) -> None:
    """The folder is as `tritonctl export` writes it. If it also contains a TorchScript file, that file is served."""
    folder = pod.add("digits", None, v1=compiled((EXTRA, encode(SIGNATURE))))
    (folder / "1" / "model.pt").rename(folder / "1" / "model.pt2")
    pod.ask_for(PreparationModel("digits", "digits"))
    assert pod.served() == parse('name: "digits" platform: "torch_aoti"' + TENSORS)
    (folder / "1" / "model.pt").write_bytes(MODEL)
    assert pod.served() == parse(f'name: "digits" {WHOLE}')


def test_our_backend_for_compiled_files_gets_the_values_that_are_fast(pod: Pod) -> None:
    """Instances and threads are set as for TorchScript; a warm-up is not needed."""
    folder = pod.add("digits", None, v1=compiled((EXTRA, encode(SIGNATURE))))
    (folder / "1" / "model.pt").rename(folder / "1" / "model.pt2")
    pod.ask_for(PreparationModel("digits", "digits", aotinductor_backend="aotinductor", tuning=FACTS))
    served = pod.served()
    assert {"instance_group", "dynamic_batching", "parameters"} <= set(served)
    assert served["instance_group"] == parse("instance_group { count: 2 kind: KIND_CPU }")["instance_group"]
    assert "model_warmup" not in served


def test_a_compiled_file_of_which_nobody_knows_the_sizes_is_refused(pod: Pod) -> None:
    """The operator's backend would read out of bounds for a tensor of another size; NVIDIA's backend is not checked."""
    folder = pod.add("digits", 'platform: "torch_aoti"' + TENSORS, v1=compiled())
    (folder / "1" / "model.pt").rename(folder / "1" / "model.pt2")
    pod.ask_for(PreparationModel("digits", "digits", aotinductor_backend="aotinductor"))
    assert "/digits/1/model.pt2 has no signature" in pod.failure().message
    pod.ask_for(PreparationModel("digits", "digits"))
    assert pod.served() == parse('platform: "torch_aoti"' + TENSORS)
    assert is_linked(pod)


@pytest.mark.parametrize(
    ("text", "file"), [("", "model.pt2"), ('default_model_filename: "net.pt2"', "net.pt2")], ids=["usual", "named"]
)
def test_a_server_with_a_backend_for_compiled_files_is_told_it(pod: Pod, text: str, file: str) -> None:
    """Triton before 26.03 rejects the platform, so it is replaced by the backend. All other fields are unchanged."""
    text = f'platform: "torch_aoti" backend: "pytorch" {text}' + TENSORS
    folder = pod.add("digits", text, v1=compiled((EXTRA, encode(SIGNATURE))))
    (folder / "1" / "model.pt").rename(folder / "1" / file)
    pod.ask_for(PreparationModel("digits", "digits", aotinductor_backend="aotinductor"))
    assert pod.served() == parse(f'default_model_filename: "{file}" backend: "aotinductor"' + TENSORS)


def test_a_backend_for_compiled_files_is_none_for_torchscript(pod: Pod) -> None:
    """A backend for compiled files does not change the configuration of a TorchScript model."""
    pod.add("digits", WHOLE, v1=MODEL)
    pod.ask_for(PreparationModel("digits", "digits", aotinductor_backend="aotinductor"))
    assert pod.served() == parse(WHOLE)
    assert is_linked(pod)


def test_a_file_of_the_repository_that_is_whole_stays_as_it_is(pod: Pod) -> None:
    """The signature matches the file; the field `name` is optional."""
    for name in ("", 'name: "digits"'):
        pod.add("digits", name + WHOLE, **{} if name else {"v1": MODEL})
        pod.ask_for(PreparationModel("digits", "digits", tuning=FACTS))
        assert pod.served() == parse(name + WHOLE)
        assert is_linked(pod)


def test_a_file_with_gaps_is_completed_from_the_signature_alone(pod: Pod) -> None:
    """The operator adds no optional fields to a file that a user wrote, unless the object sets an objective."""
    pod.add("digits", 'backend: "pytorch" dynamic_batching { }', v1=MODEL)
    pod.ask_for(PreparationModel("digits", "digits", tuning=FACTS))
    assert pod.served() == parse(WHOLE + "dynamic_batching { }")
    assert not is_linked(pod)
    pod.ask_for(PreparationModel("digits", "digits", tuning=TuningInputs(cpus=2, objective="Latency")))
    assert "instance_group" in pod.served()


@pytest.mark.parametrize(
    ("own", "served"),
    [("", "instance_group { count: 1 kind: KIND_GPU gpus: 1 }"), ("instance_group { kind: KIND_GPU gpus: 0 }",) * 2],
    ids=["without instances", "with instances"],
)
def test_a_file_without_instances_gets_the_gpus_on_which_the_model_has_room(pod: Pod, own: str, served: str) -> None:
    """Otherwise Triton would load it on every GPU."""
    pod.add("digits", WHOLE + own, v1=MODEL)
    pod.ask_for(PreparationModel("digits", "digits", tuning=TuningInputs(gpus=2, placed_on=(1,))))
    assert pod.served() == parse(WHOLE + served)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (WRONG, "declares INPUT__0 as FP32 [64], but the model's signature declares FP32 [1,28,28]"),
        (
            WHOLE.replace("FP32", "INT64", 1),
            "declares INPUT__0 as INT64 [1,28,28], but the model's signature declares FP32",
        ),
        (WHOLE.replace("INPUT__0", "images"), 'declares the input "images", but the model\'s signature declares INPUT'),
        (WHOLE.replace("64", "65", 1), "declares max_batch_size 65, but the model's signature allows at most 64"),
    ],
)
@pytest.mark.parametrize("where", ["repository", "object", "ConfigMap"])
def test_a_config_that_contradicts_the_model_names_both_sides(pod: Pod, where: str, config: str, words: str) -> None:
    """The message also names the model file and the location of the configuration."""
    pod.add("digits", config if where == "repository" else None, v1=MODEL)
    origins = {"object": "spec.models[digits].config", "ConfigMap": 'ConfigMap "c"'}
    if where != "repository":
        config_map = ("c", "k") if where == "ConfigMap" else ("", "")
        pod.ask_for(PreparationModel("digits", "digits", pod.add_config("0.pbtxt", config), *config_map))
    failure = pod.failure()
    assert (failure.reason, failure.model) == (Reason.CONFIG_INVALID, "digits")
    assert failure.message.startswith(f"/digits/1/model.pt: {origins.get(where, '/digits/config.pbtxt')}")
    assert words in failure.message


def test_the_config_of_the_object_goes_before_the_one_in_the_repository(pod: Pod) -> None:
    """The file in the repository may be invalid and is not served."""
    pod.add("digits", "{", v1=MODEL)
    text = pod.add_config("0.pbtxt", f'name: "digits" {WHOLE}')
    pod.ask_for(PreparationModel("digits", "digits", text, tuning=FACTS))
    assert pod.served() == complete(parse(f'name: "digits" {WHOLE}'), FACTS).message


def test_the_name_in_the_object_is_the_one_that_is_served(pod: Pod) -> None:
    """The folder, a rendered configuration and a file named after its folder use the name in the object."""
    pod.add("vision/v7", 'name: "v7"' + WHOLE, v1=MODEL)
    pod.ask(("digits", "vision/v7"))
    assert pod.served() == parse(WHOLE) | {"name": ["digits"]}
    pod.add("vision/v7", 'name: "other"' + WHOLE)
    assert 'has name: "other"' in pod.failure().message


def test_a_config_map_of_a_user(pod: Pod) -> None:
    """A ConfigMap's text is completed from the signature; a wrong name, a syntax error or a missing key is reported."""
    pod.add("digits", None, v1=MODEL)
    model = PreparationModel("digits", "digits", "0.pbtxt", "configs", "digits", tuning=FACTS)
    pod.ask_for(model)
    failure = pod.failure()
    assert failure.reason == Reason.DEPENDENCY_MISSING
    assert 'ConfigMap "configs", key "digits"' in failure.message
    pod.add_config("0.pbtxt", 'backend: "pytorch"')
    assert pod.served() == parse(WHOLE)
    pod.add_config("0.pbtxt", 'backend: "pytorch" name: "x"')
    assert 'ConfigMap "configs", key "digits" has name: "x"' in pod.failure().message
    pod.add_config("0.pbtxt", "backend pytorch")
    assert 'ConfigMap "configs", key "digits": line 1, column 9: expected' in pod.failure().message


def test_the_version_policy_of_the_object_goes_before_the_text(pod: Pod) -> None:
    pod.add("digits", CONFIG + "version_policy { latest { num_versions: 1 } }", v1="a", v2="b")
    pod.ask_for(PreparationModel("digits", "digits", version_policy=VersionPolicy(all=AllVersions())))
    assert pod.versions() == ("1", "2")
    assert pod.served()["version_policy"] == [{"all": [{}]}]
    three = VersionPolicy(specific=SpecificVersions((3,)))
    pod.ask_for(PreparationModel("digits", "digits", version_policy=three))
    failure = pod.failure()
    assert failure.reason == Reason.MODEL_VERSION_NOT_FOUND
    assert failure.message == "spec.models[].versionPolicy selects version 3; the model's folder has 1, 2"


def test_versions_that_differ_cannot_share_a_config(pod: Pod) -> None:
    """The second version's signature is compared with the configuration generated from the first version."""
    other = Signature((TensorSpec("INPUT__0", "FP32", (64,)),), SIGNATURE.outputs, 64)
    pod.add("digits", None, v1=MODEL, v2=a_model_file(other))
    pod.ask_for(PreparationModel("digits", "digits", version_policy=VersionPolicy(all=AllVersions())))
    failure = pod.failure()
    assert failure.reason == Reason.CONFIG_INVALID
    assert failure.message.startswith("/digits/2/model.pt: the object")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (a_model_file(None), "/digits/1/model.pt is TorchScript without a signature"),
        (an_archive(("data.pkl", b"")), "/digits/1/model.pt is a pickle written by torch.save"),
        (b"\x80\x02", "/digits/1/model.pt is a Python pickle"),
        (b"text", "/digits/1/model.pt is text"),
    ],
)
def test_without_config_and_signature_it_is_said_what_to_do(pod: Pod, file: bytes, words: str) -> None:
    pod.add("digits", None, v1=file)
    failure = pod.failure()
    assert failure.reason == Reason.CONFIG_INVALID
    for word in (words, "there is no /digits/config.pbtxt", "spec.models[].config", "tritonctl export"):
        assert word in failure.message


@pytest.mark.parametrize("config", [None, WHOLE])
def test_an_archive_that_is_not_to_be_trusted(pod: Pod, config: str | None) -> None:
    pod.add("digits", config, v1=a_model_file(SIGNATURE, (EXTRA, b"{}")))
    failure = pod.failure()
    assert failure.reason == Reason.CONFIG_INVALID
    assert failure.message == f"/digits/1/model.pt: {EXTRA} occurs in the archive 2 times"


@pytest.mark.parametrize(
    ("format_", "config", "file", "words"),
    [
        ("TorchScript", WHOLE, b"\x80\x02", "is TorchScript, but /digits/1/model.pt is a Python pickle"),
        ("TorchScript", 'platform: "torch_aoti"', b"x", "/digits/1 has no model.pt2; it contains model.pt"),
        ("ONNX", WHOLE, MODEL, "is ONNX, but /digits/config.pbtxt describes TorchScript"),
        ("ONNX", None, MODEL, "/digits/1 has no model.onnx; it contains model.pt"),
        ("TorchScript", 'backend: "own"', MODEL, '/digits/config.pbtxt: backend: "own" is not one of'),
    ],
)
def test_a_format_that_the_files_contradict(
    pod: Pod, format_: str, config: str | None, file: bytes, words: str
) -> None:
    pod.add("digits", config, v1=file)
    pod.ask_for(PreparationModel("digits", "digits", format=format_))
    failure = pod.failure()
    assert failure.reason in {Reason.CONFIG_INVALID, Reason.MODEL_VERSION_NOT_FOUND}
    assert words in failure.message


@pytest.mark.parametrize("where", ["object", "repository"])
def test_an_ensemble_needs_no_version_folder(pod: Pod, where: str) -> None:
    """The repository's folder of an ensemble is empty; for a rendered configuration, it need not exist."""
    if where == "repository":
        pod.add("digits", ENSEMBLE)
    else:
        pod.ask_for(PreparationModel("digits", "digits", pod.add_config("0.pbtxt", ENSEMBLE), tuning=FACTS))
    assert pod.versions() == ("1",)
    assert (pod.models / "digits" / "1").is_dir()
    expected: Message = parse(ENSEMBLE)
    assert pod.served() == expected
