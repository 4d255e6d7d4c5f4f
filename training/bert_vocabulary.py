"""Learn BERT's vocabulary from texts with the `tokenizers` library. Equal texts always give equal vocabularies."""

from __future__ import annotations

from collections.abc import Sequence

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
"""Special tokens, with the ids 0 to 3."""

FIRST = len(SPECIAL)
"""Id of the first token that represents text."""

_PIECES = 2000
_IDEOGRAPHS = 0x2E80
"""Each character from this code point on is a word."""


def learn(texts: Sequence[str]) -> list[str]:
    """Return the tokens in the order of their ids.

    The library breaks ties by token id, and assigns ids to characters inside words in the order of a hash table.
    Passing these characters as special tokens, in order, makes the result deterministic.
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
