"""Classify Chinese and English texts as friendly or unfriendly with a small BERT that has its own vocabulary.

`build` creates Hugging Face's BertForSequenceClassification with random weights. Model and tokenizer are trained on the
training set. `bert_checkpoint` exports a trained one from a folder instead.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from training import bert_vocabulary, text_data, text_ensembles, text_inputs
from training.dataset import Dataset
from training.losses import cross_entropy
from training.recipe import Plan, Recipe
from training.scores import Metric, accuracy, f1
from training.text_data import FEELINGS
from training.text_steps.wordpieces import WordPieces
from triton_operator.triton.model_file.signature import TensorSpec

if TYPE_CHECKING:
    from transformers import BertForSequenceClassification

LENGTH = 32
"""Sequence length in tokens, including [CLS] and [SEP]; longer texts are truncated."""

SETS = ("chinese", "english")

_HIDDEN_SHARE = 0.1
_MASKED = -1e9
"""Added to the attention scores of padding, so that their weights become zero."""


class BertTexts(nn.Module):
    """[batch, length] ids and mask -> [batch, classes], the probability of each class."""

    def __init__(self, bert: BertForSequenceClassification) -> None:
        """Wrap a classifier of `transformers` that uses eager attention, which can be traced."""
        super().__init__()
        self.bert = bert

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return probabilities; in training the logarithms of the odds, which the loss needs."""
        if self.training:  # Nothing is learned from columns in which every text has ended.
            longest = int(mask.sum(dim=1).max())
            ids, mask = ids[:, :longest], mask[:, :longest]
        # With four dimensions the mask is used as it is. Of two, transformers 5 makes four by a way that asks CUDA.
        attention = (1.0 - mask[:, None, None, :].to(torch.float32)) * _MASKED
        logits: torch.Tensor = self.bert(input_ids=ids, attention_mask=attention).logits
        return logits if self.training else torch.softmax(logits, dim=-1)


@cache
def reader() -> WordPieces:
    """Return the tokenizer, with the vocabulary of the training set."""
    texts = [each.text for name in SETS for each in text_data.sentences(name, "train")]
    return WordPieces(bert_vocabulary.learn(texts), LENGTH)


def preprocess() -> Dataset:
    """Read the sentences in both languages."""
    title = "Short Chinese and English sentences, friendly and unfriendly"
    return text_inputs.dataset(title, SETS, reader().encode, text_inputs.feeling)


def build() -> BertTexts:
    """Create a small BERT with random weights."""
    from transformers import BertConfig, BertForSequenceClassification
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call] # It warns that no loss type is set, but the loss is computed here.
    settings: dict[str, Any] = {"num_labels": len(FEELINGS), "attn_implementation": "eager"}  # Not in its type hints.
    config = BertConfig(
        vocab_size=len(reader().vocabulary),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=LENGTH,
        **settings,
    )
    return BertTexts(BertForSequenceClassification(config))


RECIPE = Recipe(
    name="bert_texts_model",
    title="Friendly or unfriendly Chinese and English texts by a small BERT",
    architecture="32 pieces of words -> BERT with 2 layers of 4 heads, 64 wide -> dense 2, softmax",
    preprocess=preprocess,
    build=build,
    loss=cross_entropy,
    plan=Plan(seed=1, epochs=4, batch_size=32, optimizer="Adam", learning_rate=0.0007, schedule="cosine"),
    metrics=(
        Metric("f1", f1, better="higher", required=0.9, tolerance=0.02),
        Metric("accuracy", accuracy, better="higher", required=0.9, tolerance=0.02),
    ),
    inputs=(TensorSpec("INPUT__0", "INT64", (LENGTH,)), TensorSpec("INPUT__1", "INT64", (LENGTH,))),
    outputs=(TensorSpec("OUTPUT__0", "FP32", (len(FEELINGS),)),),
    max_batch_size=64,
    classes=FEELINGS,
    augment=partial(text_inputs.hide_tokens, share=_HIDDEN_SHARE, unknown=1, first=bert_vocabulary.FIRST),
    augmentation=f"{_HIDDEN_SHARE:.0%} of the pieces made unknown",
    trace=True,
    companions=lambda repository: text_ensembles.write_bert_texts(repository, reader(), FEELINGS),
    slow=True,
)
