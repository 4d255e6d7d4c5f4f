"""Names in Latin letters: capitalised words with a given name, a title or a word in front that leads to a name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from triton_operator.masking.kinds import PersonalDataKind, Span
from triton_operator.masking.word_lists import alternatives, word_list

TITLES = word_list("english_titles")
LEADS = word_list("english_leads")
FOLLOWERS = word_list("english_followers")
AMBIGUOUS = word_list("ambiguous_given_names")
NOT_NAMES = word_list("english_words")
PARTICLES = word_list("particles")
PINYIN = word_list("pinyin_surnames")
KOREAN = word_list("korean_surnames")

_UPPER = "A-ZÀ-ÖØ-ÞĀĂĄĆČĎĐĒĖĘĚĞĢİĶĻŁŃŅŇŌŐŘŚŞŠŤŪŮŰŹŻŽ"
_LOWER = "a-zß-öø-ÿāăąćčďđēėęěğģıķļłńņňōőřśşšťūůűźżž"
_WORD = (
    rf"[{_UPPER}](?:[{_LOWER}]+|'[{_UPPER}][{_LOWER}]+)(?:[{_UPPER}][{_LOWER}]+)?"
    rf"(?:-[{_UPPER}{_LOWER}][{_LOWER}]+)*"
)
_INITIAL = rf"(?:[{_UPPER}]|Mrs?|Ms|Drs?|Profs?|Rev|Hon|Capt|Col|Gen|Sgt|St)\."
"""A word with a dot that does not end a sentence: an initial or a title."""
_RUN = re.compile(
    rf"(?<![{_UPPER}{_LOWER}0-9_@/.'#-])(?:{_INITIAL}|{_WORD})"
    rf"(?: (?:(?:{alternatives('particles')}) ){{0,2}}(?:{_INITIAL}|{_WORD}))*"
    rf"(?:'s\b)?(?![{_UPPER}{_LOWER}0-9_@])"
)
_PINYIN_NAME = re.compile(
    r"(?:(?:[zcs]h|[bpmfdtnlgkhjqxrzcsyw])?(?:[aeiou]|ai|ei|ao|ou|an|en|in|un|ang|eng|ing|ong|ia|ie|iao|iu|ian|iang|iong"
    r"|ua|uo|uai|ui|uan|uang|ue)){1,2}",
    re.IGNORECASE,
)
"""A given name of one or two syllables."""
_TOKEN = re.compile(r"\S+")
_GREETING = re.compile(
    r"(?<![A-Za-z])(?:Dear|Hi|Hello|Hey|Thanks|Thank you|Happy birthday|Good (?:morning|evening)|Cheers|ask for),? $",
    re.IGNORECASE,
)
_LABELLED = re.compile(
    r"(?:\b(?:first|given|last|full|family)?[ _]?name|cardholder|contact|signed)\"?\s*[:=]\s*\"?$", re.IGNORECASE
)
_LAST_WORD = re.compile(r"([A-Za-z]+)[:,]?\s*[\"'(]?$")
_NEXT_WORD = re.compile(r"(?:'s)?[ ,]*([a-z]+)")
_REACH = 24
"""Characters around a name that are read."""
_INITIAL_LENGTH = 2
_MOST = 4
"""Words of the longest name."""
_FOLDED = str.maketrans("øØłŁđĐıß", "oOlLdDis")


def find(text: str) -> Iterator[Span]:
    """Find the names in each run of capitalised words."""
    for run in _RUN.finditer(text):
        tokens = list(_TOKEN.finditer(text, run.start(), run.end()))
        words = [token[0].removesuffix("'s") for token in tokens]
        index = 0
        while index < len(words):
            last = _last(words, index)
            start, end = tokens[index].start(), tokens[last].start() + _length(words[last])
            if _is_name_at(index, words, last, text[max(0, start - _REACH) : start], text[end : end + _REACH]):
                yield Span(start, end, PersonalDataKind.NAME)
                index = last
            index += 1


def _is_name_at(index: int, words: Sequence[str], last: int, before: str, after: str) -> bool:
    """Return whether the words of a run from `index` to `last` are a name."""
    if words[index].rstrip(".") in TITLES and index + 1 < len(words):
        return False
    if index and words[index - 1].rstrip(".") in TITLES and words[index] not in NOT_NAMES:
        return True
    if words[index] in NOT_NAMES and words[index] not in AMBIGUOUS:
        return False
    return _is_name(words[index : last + 1], before, after)


def _length(word: str) -> int:
    """Return the length of the last word of a name; the dot of an initial belongs to it."""
    return len(word) if len(word) == _INITIAL_LENGTH else len(word.rstrip("."))


def _last(words: Sequence[str], first: int) -> int:
    """Return the last word that can belong to a name that begins at `first`."""
    last = first
    for index in range(first + 1, min(len(words), first + _MOST)):
        if words[index] in NOT_NAMES and not (words[index] in KOREAN and "-" in words[index - 1]):
            break
        last = index
    while last > first and words[last] in PARTICLES:
        last -= 1
    return last


def _is_name(words: Sequence[str], before: str, after: str) -> bool:
    """Return whether words are a name, from the given name, the label and the words around it."""
    greeted, labelled = bool(_GREETING.search(before)), bool(_LABELLED.search(before))
    given = _folded(words[0])
    known = (
        given in AMBIGUOUS
        or not word_list("given_names").isdisjoint((given, given.split("-")[0]))
        or _is_east_asian(words)
    )
    if len(words) == 1:
        return words[0] not in NOT_NAMES and (greeted or (labelled and known))
    if known and given not in AMBIGUOUS:
        return True
    previous = _LAST_WORD.search(before)
    following = _NEXT_WORD.match(after)
    led = bool(previous and previous[1].lower() in LEADS) or bool(following and following[1] in FOLLOWERS)
    return greeted or labelled or led or (known and not any(word in AMBIGUOUS for word in words[1:]))


def _is_east_asian(words: Sequence[str]) -> bool:
    """Return whether words are a Chinese name in Pinyin, or a Korean given name and family name."""
    first, hyphen, second = words[0].partition("-")
    if hyphen and (words[-1] in KOREAN or (_PINYIN_NAME.fullmatch(first) and _PINYIN_NAME.fullmatch(second))):
        return True
    return words[0] in PINYIN and all(_PINYIN_NAME.fullmatch(word.replace("-", "")) for word in words[1:])


def _folded(word: str) -> str:
    """Remove accents, as in the list of given names."""
    if word.isascii():
        return word
    decomposed = unicodedata.normalize("NFKD", word.translate(_FOLDED))
    return "".join(character for character in decomposed if character.isascii())
