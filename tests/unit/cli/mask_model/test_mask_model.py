"""`tritonctl mask-model`: a self-contained model, and an ensemble in which only masked texts reach the others."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.tritonctl import tritonctl
from triton_operator.masking import lexicon
from triton_operator.triton.text.parser import Message, parse
from triton_operator.triton.text.values import entries_in, integer_in, message_in, messages_in, text_in

ALL = "NAME, PHONE, ID_CARD, BANK_CARD, EMAIL, IP, PASSPORT, LICENSE_PLATE, ADDRESS"

IN_TRITON = """
import sys
sys.path.insert(0, sys.argv[1])
from triton_operator import masking
print(masking.__file__.startswith(sys.argv[1]), masking.Masker().mask(sys.argv[2]).text)
print(sorted(name for name in sys.modules if name in {"jieba", "msgspec", "typer"}))
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The models of `chinese_texts` and the echo of the tests."""
    for name in ("chinese_texts", "character_tokenizer", "chinese_texts_model", "feeling_labels"):
        shutil.copytree(ROOT / "model_repository" / name, tmp_path / name)
    shutil.copytree(ROOT / "tests" / "models" / "echo", tmp_path / "echo")
    return tmp_path


def config(folder: Path) -> Message:
    return parse((folder / "config.pbtxt").read_text())


def steps(folder: Path) -> list[tuple[str, dict[str, str], dict[str, str]]]:
    """The steps of an ensemble: the model, its inputs and its outputs."""
    return [
        (
            text_in(step, "model_name"),
            {key: text_in(entry, "value") for key, entry in entries_in(step, "input_map").items()},
            {key: text_in(entry, "value") for key, entry in entries_in(step, "output_map").items()},
        )
        for step in messages_in(message_in(config(folder), "ensemble_scheduling"), "step")
    ]


def test_the_steps_of_an_ensemble_are_repeated_behind_the_mask(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = tritonctl(capsys, "mask-model", "--to", repository, "--before", "chinese_texts")
    assert outcome.code == 0, outcome.err
    written = repository / "masked_chinese_texts"
    served = "masked_chinese_texts, mask, character_tokenizer, chinese_texts_model, feeling_labels"
    assert outcome.out.splitlines() == [
        f"{repository / 'mask'}: masks {ALL.replace(',', ' (replace),')} (replace)",
        f"{written}: the deployment must list the models {served}; clients call masked_chinese_texts",
    ]
    assert steps(repository / "masked_chinese_texts")[:2] == [
        ("mask", {"TEXT": "TEXT"}, {"MASKED": "masked_TEXT"}),
        ("character_tokenizer", {"TEXT": "masked_TEXT"}, {"CHINESE_TEXTS_IDS": "ids"}),
    ]
    assert integer_in(config(repository / "mask"), "max_batch_size") == 64
    assert tritonctl(capsys, "lint", repository).err.endswith("0 errors, 1 warning\n")


def test_another_model_is_called_with_masked_texts_and_its_other_inputs(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--before", "echo", "--name", "veil", "--ensemble", "behind_the_veil")
    outcome = tritonctl(capsys, "mask-model", "--to", repository, *options)
    assert outcome.code == 0, outcome.err
    assert steps(repository / "behind_the_veil") == [
        ("veil", {"TEXT": "INPUT__0"}, {"MASKED": "masked_INPUT__0"}),
        (
            "echo",
            {"INPUT__0": "masked_INPUT__0", "INPUT__1": "INPUT__1"},
            {"OUTPUT__0": "OUTPUT__0", "OUTPUT__1": "OUTPUT__1"},
        ),
    ]
    assert integer_in(config(repository / "veil"), "max_batch_size") == 0
    assert tritonctl(capsys, "lint", repository).code == 0


def test_the_model_needs_no_other_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its library is all that Python has; without it, the same program fails."""
    assert tritonctl(capsys, "mask-model", "--to", tmp_path).code == 0
    library = str(tmp_path / "mask" / "1" / "library.zip")
    command = [sys.executable, "-I", "-S", "-c", IN_TRITON]
    done = subprocess.run(
        [*command, library, "我叫林晓东 tel 13912345678"], capture_output=True, text=True, check=False
    )
    assert done.stdout == "True 我叫<NAME> tel <PHONE>\n[]\n", done.stderr
    alone = subprocess.run([*command, str(tmp_path), "x"], capture_output=True, text=True, check=False)
    assert "No module named 'triton_operator'" in alone.stderr


def test_the_same_packages_give_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        assert tritonctl(capsys, "mask-model", "--to", tmp_path / name).code == 0
    first, second = (tmp_path / name / "mask" / "1" / "library.zip" for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert not [name for name in archive.namelist() if "geodata" in name or name.endswith(".pyc")]
    assert first.stat().st_size < 1_500_000


def test_the_stored_lexicon_is_that_of_jieba() -> None:
    """Rounded to two digits."""
    original = lexicon.Lexicon.from_jieba()
    stored = lexicon.Lexicon.load(original.dump())
    assert stored.words.keys() == original.words.keys()
    assert all(abs(weight - original.words[word]) <= 0.006 for word, weight in stored.words.items())


def test_types_and_actions_are_parameters_of_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--types", "phone,NAME", "--action", "NAME=hash", "--action", "mask", "--key-file", "/keys/key")
    outcome = tritonctl(capsys, "mask-model", "--to", tmp_path, *options)
    assert outcome.out == f"{tmp_path / 'mask'}: masks PHONE (mask), NAME (hash)\n"
    parameters = entries_in(config(tmp_path / "mask"), "parameters")
    values = {key: text_in(message_in(entry, "value"), "string_value") for key, entry in parameters.items()}
    assert values == {"actions": '{"NAME": "hash", "PHONE": "mask"}', "key_file": "/keys/key"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--types", "PHONES"], "'PHONES' is not a type; use NAME, PHONE, "),
        (["--action", "erase"], "'erase' is not an action; use mask, replace or hash"),
        (["--action", "tokenize"], "a model cannot restore tokens"),
        (["--action", "hash"], "the action `hash` needs --key-file"),
        (["--types", "NAME", "--action", "IP=mask"], "--types does not contain IP"),
    ],
)
def test_an_impossible_option_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    outcome = tritonctl(capsys, "mask-model", "--to", tmp_path, *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert not (tmp_path / "mask").exists()


@pytest.mark.parametrize(
    ("model", "message"),
    [("digits", "digits has no input of type STRING"), ("none", "none")],
    ids=["numbers", "absent"],
)
def test_a_model_without_texts_is_refused(
    repository: Path, capsys: pytest.CaptureFixture[str], model: str, message: str
) -> None:
    shutil.copytree(ROOT / "model_repository" / "digits", repository / "digits")
    outcome = tritonctl(capsys, "mask-model", "--to", repository, "--before", model)
    assert (outcome.code, outcome.out) == (1, "")
    assert message in outcome.err
    assert not (repository / "mask").exists()
