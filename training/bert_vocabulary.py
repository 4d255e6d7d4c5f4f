"""BERT's vocabulary, learned from texts by the `tokenizers` library: the same texts always give the same vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
"""Pieces that stand for no text, with the numbers 0 to 3."""

FIRST = len(SPECIAL)
"""Number of the first piece that stands for text."""

_PIECES = 2000
_IDEOGRAPHS = 0x2E80
"""Characters from here on are words of their own."""


def learn(texts: Sequence[str]) -> list[str]:
    """Return the pieces in the order of their numbers.

    The library breaks ties by the numbers of pieces, and numbers characters inside of words as a hash table gives
    them. Naming these as special pieces, in order, leaves nothing to chance.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    inner = sorted({each.lower() for text in texts for each in text if each.isalnum() and ord(each) < _IDEOGRAPHS})
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106 - no password.
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=_PIECES,
        min_frequency=2,
        special_tokens=[*SPECIAL, *(f"##{each}" for each in inner)],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    numbers: dict[str, int] = tokenizer.get_vocab()
    return sorted(numbers, key=lambda piece: numbers[piece])
