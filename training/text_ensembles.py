"""Write the text ensembles: a tokenizer, a text model and a step that selects the label.

Clients send requests to `chinese_texts`, `token_tagger` and `bert_texts`. Each passes TEXT through its tokenizer, the
model `<name>_model` and the label step. The two ensembles that read characters share a tokenizer, and the two that
classify sentiment share the label step, because one deployment serves at most 16 models. The functions write folders of
a model repository and return the files; recipes call them as `companions`.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from training.text_data import FEELINGS
from training.text_steps.characters import Characters
from training.text_steps.wordpieces import WordPieces
from triton_operator.api.batching import DynamicBatching
from triton_operator.api.model import Format
from triton_operator.api.model_config import (
    Ensemble,
    EnsembleStep,
    Input,
    InstanceGroup,
    InstanceKind,
    ModelConfig,
    Output,
)
from triton_operator.api.tensor import DataType
from triton_operator.triton.config.typed_config import to_message
from triton_operator.triton.text.writer import write

MAX_BATCH_SIZE = 64
"""Maximum number of texts in a request and in a batch."""

CHARACTERS = "character_tokenizer"
WORD_PIECES = "wordpiece_tokenizer"
FEELING_LABELS = "feeling_labels"
ENTITY_LABELS = "entity_labels"

_STEPS = Path(__file__).resolve().parent / "text_steps"

_LENGTHS = {"CHINESE_TEXTS_IDS": 10, "TOKEN_TAGGER_IDS": 24, "TOKEN_TAGGER_TOKENS": 24}
_TEXT = Input("TEXT", DataType.STRING, (1,))
_ANSWER = (Output("LABEL", DataType.STRING, (1,)), Output("PROBABILITY", DataType.FP32, (1,)))


def write_chinese_texts(repository: Path, reader: Characters) -> list[Path]:
    """Write the tokenizer, the labels and the ensemble around `chinese_texts_model`."""
    steps = (
        EnsembleStep(CHARACTERS, {"TEXT": "TEXT"}, {"CHINESE_TEXTS_IDS": "ids"}),
        EnsembleStep("chinese_texts_model", {"INPUT__0": "ids"}, {"OUTPUT__0": "scores"}),
        EnsembleStep(FEELING_LABELS, {"SCORES": "scores"}, {"LABEL": "LABEL", "PROBABILITY": "PROBABILITY"}),
    )
    return [
        *_write_characters(repository, "chinese_texts", reader),
        *_write_labels(repository, FEELING_LABELS, FEELINGS),
        *_write_ensemble(repository, "chinese_texts", steps, _ANSWER),
    ]


def write_token_tagger(repository: Path, reader: Characters, labels: Sequence[str]) -> list[Path]:
    """Write the tokenizer, the labels and the ensemble around `token_tagger_model`."""
    outputs = (
        Output("TOKENS", DataType.STRING, (reader.length,)),
        Output("LABEL", DataType.STRING, (reader.length,)),
        Output("PROBABILITY", DataType.FP32, (reader.length,)),
    )
    # A tensor of an ensemble is written once, so the tokens in the response are the input of the label step.
    steps = (
        EnsembleStep(CHARACTERS, {"TEXT": "TEXT"}, {"TOKEN_TAGGER_IDS": "ids", "TOKEN_TAGGER_TOKENS": "TOKENS"}),
        EnsembleStep("token_tagger_model", {"INPUT__0": "ids"}, {"OUTPUT__0": "scores"}),
        EnsembleStep(
            ENTITY_LABELS,
            {"SCORES": "scores", "TOKENS": "TOKENS"},
            {"LABEL": "LABEL", "PROBABILITY": "PROBABILITY"},
        ),
    )
    return [
        *_write_characters(repository, "token_tagger", reader),
        *_write_labels(repository, ENTITY_LABELS, labels, tokens=reader.length),
        *_write_ensemble(repository, "token_tagger", steps, outputs),
    ]


def write_bert_texts(repository: Path, reader: WordPieces, labels: Sequence[str]) -> list[Path]:
    """Write the tokenizer, the labels and the ensemble around `bert_texts_model`."""
    name = FEELING_LABELS if tuple(labels) == FEELINGS else "bert_texts_labels"
    steps = (
        EnsembleStep(WORD_PIECES, {"TEXT": "TEXT"}, {"IDS": "ids", "MASK": "mask"}),
        EnsembleStep("bert_texts_model", {"INPUT__0": "ids", "INPUT__1": "mask"}, {"OUTPUT__0": "scores"}),
        EnsembleStep(name, {"SCORES": "scores"}, {"LABEL": "LABEL", "PROBABILITY": "PROBABILITY"}),
    )
    rows = tuple(Output(each, DataType.INT64, (reader.length,)) for each in ("IDS", "MASK"))
    tokenizer = _step_config((_TEXT,), rows)
    files = _write_step(repository, WORD_PIECES, "wordpieces", tokenizer)
    reader.write(repository / WORD_PIECES / "1")
    return [
        *files,
        *(repository / WORD_PIECES / "1" / each for each in ("vocabulary.txt", "settings.json")),
        *_write_labels(repository, name, labels),
        *_write_ensemble(repository, "bert_texts", steps, _ANSWER),
    ]


def _write_characters(repository: Path, model: str, reader: Characters) -> list[Path]:
    """Add the vocabulary of one model to the shared character tokenizer."""
    outputs = tuple(
        Output(name, DataType.INT64 if name.endswith("_IDS") else DataType.STRING, (length,))
        for name, length in _LENGTHS.items()
    )
    config = _step_config((_TEXT,), outputs)
    files = _write_step(repository, CHARACTERS, "characters", config)
    path = repository / CHARACTERS / "1" / f"{model}.json"
    reader.write(path)
    return [*files, path]


def _write_labels(repository: Path, name: str, labels: Sequence[str], tokens: int = 0) -> list[Path]:
    """Write the label step; `tokens` is the sequence length of a model with an output per token."""
    rows = (tokens,) if tokens else ()
    scores = Input("SCORES", DataType.FP32, (*rows, -1))
    inputs = (scores, Input("TOKENS", DataType.STRING, rows)) if tokens else (scores,)
    outputs = (Output("LABEL", DataType.STRING, rows or (1,)), Output("PROBABILITY", DataType.FP32, rows or (1,)))
    config = _step_config(inputs, outputs)
    files = _write_step(repository, name, "labels", config)
    path = repository / name / "1" / "labels.txt"
    path.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    return [*files, path]


def _step_config(inputs: tuple[Input, ...], outputs: tuple[Output, ...]) -> ModelConfig:
    """Return a configuration with dynamic batching: calling the step's process costs more than its computation."""
    return ModelConfig(
        inputs,
        outputs,
        max_batch_size=MAX_BATCH_SIZE,
        instance_groups=(InstanceGroup(count=1, kind=InstanceKind.CPU),),
        dynamic_batching=DynamicBatching(),
    )


def _write_step(repository: Path, name: str, source: str, config: ModelConfig) -> list[Path]:
    folder = repository / name
    (folder / "1").mkdir(parents=True, exist_ok=True)
    program = folder / "1" / "model.py"
    shutil.copyfile(_STEPS / f"{source}.py", program)
    return [_write_config(folder, config, Format.PYTHON), program]


def _write_ensemble(
    repository: Path, name: str, steps: tuple[EnsembleStep, ...], outputs: tuple[Output, ...]
) -> list[Path]:
    folder = repository / name
    folder.mkdir(parents=True, exist_ok=True)
    config = ModelConfig((_TEXT,), outputs, max_batch_size=MAX_BATCH_SIZE, ensemble=Ensemble(steps))
    about = folder / "README.md"
    about.write_text(
        f"# {name}\n\nTEXT goes in, {' and '.join(each.name for each in outputs)} come out: the ensemble "
        f"{' → '.join(f'`{each.model_name}`' for each in steps)}.\n"
        f"What the model learned from, and how good it is: [{name}_model](../{name}_model/README.md).\n",
        encoding="utf-8",
    )
    return [_write_config(folder, config, Format.ENSEMBLE), about]


def _write_config(folder: Path, config: ModelConfig, model_format: Format) -> Path:
    path = folder / "config.pbtxt"
    path.write_text(write(to_message(config, name=folder.name, format=model_format)), encoding="utf-8")
    return path
