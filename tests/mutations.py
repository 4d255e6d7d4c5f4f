"""Random changes of bytes that a parser once accepted."""

from __future__ import annotations

import random


def mutate(content: bytes, drawn: random.Random) -> bytes:
    """Change up to four places."""
    changed = bytearray(content)
    for _ in range(drawn.randint(1, 4)):
        place = drawn.randrange(len(changed))
        length = drawn.choice((1, 1, 1, 20))
        changed[place : place + length] = drawn.choice(
            (drawn.randbytes(1), b"", drawn.randbytes(length), changed[place : place + length] * 2)
        )
    return bytes(changed)
