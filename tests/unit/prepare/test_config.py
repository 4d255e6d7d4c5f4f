"""Which configuration Triton gets: from the object, a ConfigMap, the repository, or the model's own signature."""

from __future__ import annotations

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
    """A pod whose object asks for the model `digits`."""
    return Pod(tmp_path)


def is_linked(pod: Pod) -> bool:
    """Whether Triton gets the repository's own file as it is."""
    return (pod.models / "digits" / "config.pbtxt").is_symlink()


def test_a_signature_is_all_that_a_model_needs(pod: Pod) -> None:
    """No config.pbtxt anywhere: the file is complete, with the values that are fast in this pod."""
    pod.add("digits", None, v1=MODEL)
    pod.ask_for(PreparationModel("digits", "digits", tuning=FACTS))
    expected = complete(parse(f'name: "digits" {WHOLE}'), FACTS).message
    assert {"instance_group", "dynamic_batching", "model_warmup"} <= set(expected)
    assert pod.served() == expected


def test_a_compiled_file_has_a_signature_just_so(pod: Pod) -> None:
    """The object says the format, the file of AOTInductor the rest."""
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
    """A file as AOTInductor writes it."""
    return an_archive(("data/aotinductor/model/code.wrapper.so", b"ELF"), ("archive_format", b"pt2"), *members)


def test_a_folder_with_nothing_but_a_compiled_file_is_known_by_its_name(pod: Pod) -> None:
    """As `tritonctl export` leaves it; with a file of TorchScript beside it that is meant, as ever."""
    folder = pod.add("digits", None, v1=compiled((EXTRA, encode(SIGNATURE))))
    (folder / "1" / "model.pt").rename(folder / "1" / "model.pt2")
    pod.ask_for(PreparationModel("digits", "digits"))
    assert pod.served() == parse('name: "digits" platform: "torch_aoti"' + TENSORS)
    (folder / "1" / "model.pt").write_bytes(MODEL)
    assert pod.served() == parse(f'name: "digits" {WHOLE}')


def test_our_backend_for_compiled_files_gets_the_values_that_are_fast(pod: Pod) -> None:
    """Instances and threads as for TorchScript; nothing is left to warm up."""
    folder = pod.add("digits", None, v1=compiled((EXTRA, encode(SIGNATURE))))
    (folder / "1" / "model.pt").rename(folder / "1" / "model.pt2")
    pod.ask_for(PreparationModel("digits", "digits", aotinductor_backend="aotinductor", tuning=FACTS))
    served = pod.served()
    assert {"instance_group", "dynamic_batching", "parameters"} <= set(served)
    assert served["instance_group"] == parse("instance_group { count: 2 kind: KIND_CPU }")["instance_group"]
    assert "model_warmup" not in served


def test_a_compiled_file_of_which_nobody_knows_the_sizes_is_refused(pod: Pod) -> None:
    """By our backend, whose library would read beside a tensor of another size; of NVIDIA's own nothing is known."""
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
    """A Triton before 26.03 refuses the platform. All else stays."""
    text = f'platform: "torch_aoti" backend: "pytorch" {text}' + TENSORS
    folder = pod.add("digits", text, v1=compiled((EXTRA, encode(SIGNATURE))))
    (folder / "1" / "model.pt").rename(folder / "1" / file)
    pod.ask_for(PreparationModel("digits", "digits", aotinductor_backend="aotinductor"))
    assert pod.served() == parse(f'default_model_filename: "{file}" backend: "aotinductor"' + TENSORS)


def test_a_backend_for_compiled_files_is_none_for_torchscript(pod: Pod) -> None:
    """Of a model that comes with its configuration only that says what its file is."""
    pod.add("digits", WHOLE, v1=MODEL)
    pod.ask_for(PreparationModel("digits", "digits", aotinductor_backend="aotinductor"))
    assert pod.served() == parse(WHOLE)
    assert is_linked(pod)


def test_a_file_of_the_repository_that_is_whole_stays_as_it_is(pod: Pod) -> None:
    """With a signature that agrees, and with a name or none."""
    for name in ("", 'name: "digits"'):
        pod.add("digits", name + WHOLE, **{} if name else {"v1": MODEL})
        pod.ask_for(PreparationModel("digits", "digits", tuning=FACTS))
        assert pod.served() == parse(name + WHOLE)
        assert is_linked(pod)


def test_a_file_with_gaps_is_completed_from_the_signature_alone(pod: Pod) -> None:
    """A person wrote it: what Triton can do without is not added, unless an objective is asked for."""
    pod.add("digits", 'backend: "pytorch" dynamic_batching { }', v1=MODEL)
    pod.ask_for(PreparationModel("digits", "digits", tuning=FACTS))
    assert pod.served() == parse(WHOLE + "dynamic_batching { }")
    assert not is_linked(pod)
    pod.ask_for(PreparationModel("digits", "digits", tuning=TuningInputs(cpus=2, objective="Latency")))
    assert "instance_group" in pod.served()


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
    """And the file of the model, and where the config stands."""
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
    """Which need not even be right, and is no part of what is served."""
    pod.add("digits", "{", v1=MODEL)
    text = pod.add_config("0.pbtxt", f'name: "digits" {WHOLE}')
    pod.ask_for(PreparationModel("digits", "digits", text, tuning=FACTS))
    assert pod.served() == complete(parse(f'name: "digits" {WHOLE}'), FACTS).message


def test_the_name_in_the_object_is_the_one_that_is_served(pod: Pod) -> None:
    """The folder and a rendered config follow it; so does a file that is named after its folder."""
    pod.add("vision/v7", 'name: "v7"' + WHOLE, v1=MODEL)
    pod.ask(("digits", "vision/v7"))
    assert pod.served() == parse(WHOLE) | {"name": ["digits"]}
    pod.add("vision/v7", 'name: "other"' + WHOLE)
    assert 'has name: "other"' in pod.failure().message


def test_a_config_map_of_a_user(pod: Pod) -> None:
    """Hand-written: completed from the signature, its name must be the object's, and a missing one is named."""
    pod.add("digits", None, v1=MODEL)
    wanted = PreparationModel("digits", "digits", "0.pbtxt", "configs", "digits", tuning=FACTS)
    pod.ask_for(wanted)
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
    """The second version's signature is held against what the first one's said."""
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
    """Its folder would be empty; that of a rendered one need not be there at all."""
    if where == "repository":
        pod.add("digits", ENSEMBLE)
    else:
        pod.ask_for(PreparationModel("digits", "digits", pod.add_config("0.pbtxt", ENSEMBLE), tuning=FACTS))
    assert pod.versions() == ("1",)
    assert (pod.models / "digits" / "1").is_dir()
    expected: Message = parse(ENSEMBLE)
    assert pod.served() == expected
