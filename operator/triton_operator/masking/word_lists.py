"""The lists of words and names in `lexicons/`, each read once.

Input: the name of a list. Output: its words. To teach the recognizers another word, add it to a list.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files


@cache
def word_list(name: str) -> frozenset[str]:
    """Return the words of a list."""
    lines = files(__package__).joinpath("lexicons", f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def alternatives(name: str) -> str:
    """Return a regular expression for the words of a list, long ones first."""
    return "|".join(re.escape(word) for word in sorted(word_list(name), key=lambda word: (-len(word), word)))
