"""The committed models: training reproduces them, and their outputs equal those of eager PyTorch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from training import MODELS, REPOSITORY, breast_cancer_data, torchscript
from training.__main__ import main
from training.augment import shift
from training.check import measure
from training.digits_data import resize
from training.fit import predict
from training.recipes import find
from training.workflow import config_text, model_file
from triton_operator.export.equivalence_check import ExportOptions
from triton_operator.export.examples import make_examples
from triton_operator.export.exporter import export_file
from triton_operator.export.folder import Destination

pytestmark = pytest.mark.training

_TEST_MODELS = Path(__file__).parent.parent / "models"
_ROOT = REPOSITORY.parent


_QUICK = [name for name in MODELS if not find(name).slow]


@pytest.mark.timeout(900)  # 20 s on an idle core, several times that on a busy one.
@pytest.mark.parametrize("name", _QUICK)
def test_retraining_reproduces_the_scores_of_the_model_card(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the command that the card names; `make models` includes the slow models."""
    assert main([name, "--check"]) == 0
    assert "retraining reproduces the scores of the model card" in capsys.readouterr().out


@pytest.mark.parametrize("name", MODELS)
def test_the_committed_file_has_the_scores_of_its_card(name: str) -> None:
    """On the validation and the test set."""
    assert measure(name, REPOSITORY) == []


@pytest.mark.parametrize("name", MODELS)
def test_the_outputs_of_the_file_equal_those_of_pytorch(name: str) -> None:
    """The TorchScript file of the repository against the Python module, on the whole test set."""
    recipe = find(name)
    path = model_file(REPOSITORY, name)
    arguments = recipe.preprocess().test.arguments
    eager = predict(torchscript.load_eager(recipe.build, path), *arguments)
    scripted = predict(torchscript.load(path), *arguments)
    assert eager.shape == (len(arguments[0]), *recipe.outputs[0].dims)
    assert np.max(np.abs(eager - scripted)) <= recipe.served_tolerance


@pytest.mark.parametrize("name", MODELS)
def test_the_rows_of_a_batch_are_independent_and_no_state_is_kept(name: str, tmp_path: Path) -> None:
    """The exporter checks the committed file like a user's, including the served form."""
    recipe = find(name)
    options = ExportOptions(
        name,
        tuple(each.name for each in recipe.inputs),
        tuple(each.name for each in recipe.outputs),
        recipe.max_batch_size,
    )
    examples = make_examples(recipe.inputs, batched=recipe.max_batch_size > 0)
    exported = export_file(model_file(REPOSITORY, name), examples, options, Destination(tmp_path))
    assert exported.signature == recipe.signature
    assert exported.difference <= 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_the_committed_configuration_is_generated_from_the_recipe(name: str) -> None:
    """It was not edited by hand."""
    assert (REPOSITORY / name / "config.pbtxt").read_text(encoding="utf-8") == config_text(find(name))


def test_linear_regression_extrapolates_the_line() -> None:
    """[9, 10] is 5 and [11, 12] is 6."""
    model = torchscript.load(model_file(REPOSITORY, "linear_regression"))
    answers = predict(model, np.array([[9, 10], [11, 12]], dtype=np.float32))
    assert np.allclose(answers, [[5], [6]], atol=1e-3)


@pytest.mark.parametrize("name", [name for name in MODELS if find(name).classes])
def test_classifiers_return_probabilities(name: str) -> None:
    """Between zero and one, with a sum of one for several classes."""
    recipe = find(name)
    answers = predict(torchscript.load(model_file(REPOSITORY, name)), *recipe.preprocess().test.arguments)
    assert answers.min() >= 0
    assert answers.max() <= 1
    assert answers.shape[-1] == 1 or np.allclose(answers.sum(axis=-1), 1, atol=1e-5)


def test_the_tumour_classifier_standardizes_with_fixed_statistics() -> None:
    """Those of its training set and not of the batch, so a row has the same output alone and in a batch."""
    model = torchscript.load(model_file(REPOSITORY, "breast_cancer"))
    measured = breast_cancer_data.load()
    state = model.state_dict()
    assert np.allclose(state["mean"], measured.train.inputs.mean(axis=0), rtol=1e-5)
    alone = [predict(model, row[None])[0] for row in measured.test.inputs[:5]]
    assert np.allclose(alone, predict(model, measured.test.inputs)[:5], atol=1e-6)


def test_pictures_are_resized_as_pytorch_does() -> None:
    """Both give equal values."""
    images = np.random.default_rng(1).random((3, 8, 8), dtype=np.float32)
    expected = torch.nn.functional.interpolate(torch.from_numpy(images)[None], size=28, mode="bilinear")[0].numpy()
    assert np.allclose(resize(images, 28), expected, atol=1e-6)


def test_a_shift_moves_the_image_without_changing_it() -> None:
    """No ink is lost for images with a border of two pixels, and the positions differ."""
    images = torch.zeros(50, 1, 28, 28)
    images[:, :, 10:18, 10:18] = 1
    shifted = shift(images, torch.Generator().manual_seed(1))
    assert shifted.shape == images.shape
    assert shifted.sum(dim=(1, 2, 3)).tolist() == [64] * 50
    places = {(int(each[0].sum(1).argmax()), int(each[0].sum(0).argmax())) for each in shifted}
    assert {place for pair in places for place in pair} == {8, 9, 10, 11, 12}
    assert len(places) > 5


def test_the_script_reproduces_the_echo_model(tmp_path: Path) -> None:
    """The committed files equal those that it writes."""
    subprocess.run([sys.executable, "-m", "tests.models.make_echo", str(tmp_path)], cwd=_ROOT, check=True)
    for name in ("config.pbtxt", "1/model.pt"):
        assert (tmp_path / "echo" / name).read_bytes() == (_TEST_MODELS / "echo" / name).read_bytes()


def test_the_echo_model_returns_its_inputs() -> None:
    """Chinese text, an empty text, and both booleans."""
    texts, flags = torchscript.load(_TEST_MODELS / "echo/1/model.pt")(["我爱你", ""], torch.tensor([True, False]))
    assert texts == ["我爱你", ""]
    assert flags.tolist() == [True, False]


def test_the_broken_model_does_not_load() -> None:
    """End-to-end tests rely on it."""
    with pytest.raises(RuntimeError, match="failed reading zip archive"):
        torchscript.load(_TEST_MODELS / "not_torchscript/1/model.pt")
