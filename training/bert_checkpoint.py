"""Export an existing BERT classifier so that it is served like the one that is trained here.

Input: a folder that `save_pretrained` of `transformers` wrote (config.json, the weights, the tokenizer's files).
Output: `bert_texts_model` with its tokenizer, its labels and the ensemble `bert_texts` in a model repository. Nothing
is downloaded. `python -m training bert_texts --checkpoint DIR` calls it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training import text_ensembles
from training.text_steps.wordpieces import WordPieces

if TYPE_CHECKING:
    from transformers import BertForSequenceClassification

_LONGEST = 128
"""Maximum number of tokens. The cost of a text grows with the length, padding included."""

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


class CheckpointError(ValueError):
    """The folder is not a checkpoint of a BERT classifier; the message names the file and the problem."""


def export_checkpoint(folder: Path, repository: Path) -> Path:
    """Write the models of a checkpoint into a repository and return the model file. Raises CheckpointError."""
    from training.bert_texts import BertTexts
    from triton_operator.export import export_torchscript
    from triton_operator.export.config import write_config
    from triton_operator.export.examples import make_examples
    from triton_operator.triton.model_file.signature import TensorSpec

    bert = _load(folder)
    length = min(_LONGEST, bert.config.max_position_embeddings)
    reader = _read_tokenizer(folder, length)
    known = len(bert.bert.embeddings.word_embeddings.weight)
    if len(reader.vocabulary) > known:
        raise CheckpointError(f"{folder}: the tokenizer has {len(reader.vocabulary)} pieces, the model {known}")
    inputs = tuple(TensorSpec(f"INPUT__{index}", "INT64", (length,)) for index in range(2))
    name, size = "bert_texts_model", text_ensembles.MAX_BATCH_SIZE
    (example,) = make_examples(inputs, batched=True)
    exported = export_torchscript(
        BertTexts(bert).eval(), example, repository, name=name, max_batch_size=size, trace=True
    )
    write_config(name, exported.signature, repository / name)
    labels = [label for _, label in sorted((bert.config.id2label or {}).items())]
    text_ensembles.write_bert_texts(repository, reader, labels)
    source = "Made from a checkpoint by `python -m training bert_texts --checkpoint`"
    text = f"# A BERT classifier\n\n{source}; labels: {', '.join(labels)}.\n"
    (repository / name / "README.md").write_text(text, encoding="utf-8")
    return exported.path


def _load(folder: Path) -> BertForSequenceClassification:
    from transformers import BertForSequenceClassification

    if (kind := _json(folder / "config.json").get("model_type")) != "bert":
        raise CheckpointError(f"{folder / 'config.json'}: model_type is {kind!r}, but must be 'bert'")
    try:
        bert: BertForSequenceClassification = BertForSequenceClassification.from_pretrained(
            folder, local_files_only=True, attn_implementation="eager"
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{folder}: {' '.join(str(error).split())}") from error
    if len(bert.config.id2label or ()) < 2:  # noqa: PLR2004 - a class and its opposite.
        raise CheckpointError(f"{folder / 'config.json'}: a classifier needs two labels or more")
    return bert


def _read_tokenizer(folder: Path, length: int) -> WordPieces:
    """Read the vocabulary from vocab.txt, the format of BERT's own tokenizer, or from tokenizer.json."""
    if (folder / "vocab.txt").is_file():
        vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    else:
        numbers: dict[str, int] = _json(folder / "tokenizer.json").get("model", {}).get("vocab", {})
        vocabulary = sorted(numbers, key=lambda piece: numbers[piece])
    if missing := [piece for piece in _SPECIAL if piece not in vocabulary]:
        raise CheckpointError(f"{folder}: its vocabulary has no {missing[0]}")
    settings = folder / "tokenizer_config.json"
    lowercase = _json(settings).get("do_lower_case", True) if settings.is_file() else True
    return WordPieces(vocabulary, length, lowercase=lowercase)


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    return content
