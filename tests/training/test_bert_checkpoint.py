"""Export of an existing BERT classifier."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from training import REPOSITORY, bert_texts, torchscript
from training.__main__ import main
from training.bert_checkpoint import CheckpointError, export_checkpoint
from training.fit import predict
from training.text_steps.wordpieces import WordPieces
from training.workflow import model_file

pytestmark = pytest.mark.training

TEXTS = ["Hello, my dog is cute", "我爱你", "I hate you!"]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The committed model, saved by `transformers` with other labels."""
    folder = tmp_path / "checkpoint"
    module = torchscript.load_eager(bert_texts.build, model_file(REPOSITORY, "bert_texts_model"))
    assert isinstance(module, bert_texts.BertTexts)
    module.bert.config.id2label = {0: "cold", 1: "warm"}
    module.bert.save_pretrained(folder)
    pieces = bert_texts.reader().vocabulary
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    return folder


def test_an_exported_checkpoint_gives_the_same_outputs(checkpoint: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models"
    assert main(["bert-texts", "--checkpoint", str(checkpoint), "--output", str(repository)]) == 0
    reader = WordPieces.read(repository / "wordpiece_tokenizer" / "1")
    arguments = [np.array(rows) for rows in zip(*map(reader.encode, TEXTS), strict=True)]
    own, exported = (
        predict(torchscript.load(model_file(place, "bert_texts_model")), *arguments)
        for place in (REPOSITORY, repository)
    )
    assert np.max(np.abs(own - exported)) <= 1e-5
    assert (repository / "bert_texts_labels" / "1" / "labels.txt").read_text() == "cold\nwarm\n"
    assert "bert_texts_labels" in (repository / "bert_texts" / "config.pbtxt").read_text()


def test_the_tokenizer_is_read_from_either_file(checkpoint: Path, tmp_path: Path) -> None:
    pieces = (checkpoint / "vocab.txt").read_text(encoding="utf-8").splitlines()
    (checkpoint / "vocab.txt").unlink()
    numbers = {piece: index for index, piece in enumerate(pieces)}
    (checkpoint / "tokenizer.json").write_text(json.dumps({"model": {"vocab": numbers}}), encoding="utf-8")
    (checkpoint / "tokenizer_config.json").write_text('{"do_lower_case": false}', encoding="utf-8")
    export_checkpoint(checkpoint, tmp_path)
    reader = WordPieces.read(tmp_path / "wordpiece_tokenizer" / "1")
    assert (reader.vocabulary, reader.lowercase) == (pieces, False)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", None, r"config\.json cannot be read"),
        ("config.json", '{"model_type": "gpt2"}', r"config\.json: model_type is 'gpt2', but must be 'bert'"),
        ("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n", r"its vocabulary has no \[SEP\]"),
        ("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n" + "a\n" * 5000, r"the tokenizer has 5004 pieces, the model \d+"),
    ],
)
def test_an_invalid_checkpoint_is_rejected_with_the_name_of_the_file(
    checkpoint: Path, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    (checkpoint / name).unlink()
    if content:
        (checkpoint / name).write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError, match=message):
        export_checkpoint(checkpoint, tmp_path / "models")


def test_other_models_do_not_accept_a_checkpoint(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["digits", "--checkpoint", str(tmp_path)]) == 2
    assert "--checkpoint requires bert_texts" in capsys.readouterr().err
