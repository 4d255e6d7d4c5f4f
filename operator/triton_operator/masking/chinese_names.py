"""Find Chinese names: a family name and one or two characters that are more probable as a name than as words.

The text is divided into the words and names with the highest probability, as jieba divides it (its dictionary without
names), except that a name is a word as well. A title after a family name, or a label in front of a name, makes names
more probable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from triton_operator.masking.kinds import PersonalDataKind, Span
from triton_operator.masking.lexicon import COMPOUND, SINGLE, Lexicon, chinese
from triton_operator.masking.word_lists import alternatives, word_list

_HAN = re.compile(r"[\u4e00-\u9fff]+")
_TRANSLITERATED = re.compile(r"[\u4e00-\u9fff]{2,5}(?:\u00b7[\u4e00-\u9fff]{1,6}){1,3}")
_LONGEST = 4
"""Characters of the longest word, and of a compound family name with a given name."""
_LONGEST_GIVEN = 2

# Logarithms of probabilities, and what is added to them.
_NAME = -5.5
"""A word is a name."""
_UNKNOWN = -16.0
"""A character that is not a word."""
_LABEL_WORD = -11.0
"""A word of the list of labels, if the dictionary lacks it."""
_LABELLED = 6.0
_LED = 3.0
_TITLED = 4.0
_FIRST = 1.0
"""Names are more frequent at the beginning of a clause than elsewhere."""
_ALONE = 3.0
"""A name of three characters between two punctuation marks."""

_LABEL = re.compile(
    rf"(?:{alternatives('chinese_labels')}|叫|其妻|其夫|name|contact|owner|[Hh]i)[是为:\s\"'(=,\u3001\[]*$"
)
_LEAD = re.compile(r"(?:[人者员长师手家和与及跟同由让给替找问听据请\u3001]|谢谢|感谢|通知|联系|转告|碰见|遇见)[:\s]*$")
_LABEL_REACH = 8
_TITLE = re.compile(rf"{alternatives('chinese_titles')}|总要求|总(?![是会算共体结数监裁之归得要有能在])")
_AFTER_NAME = re.compile(
    rf"{_TITLE.pattern}|[哥姐工说称]|表示|告诉|介绍|认为|反馈|申请|建议|家住|收(?:$|,)"
    r"|的(?:电话|手机|号码|邮箱|身份证|护照|地址|账户|银行卡|签名|家)"
)
_FAMILY_NAME = re.compile(r"(?:免贵)?姓([\u4e00-\u9fff]{1,2})(?![\u4e00-\u9fff])")
_NEVER_GIVEN = frozenset("你我他她它们的了吗呢吧啊哦啦呀太很不也都是有在和与就还被把没")
"""Characters that no given name has."""
_NO_NAME = re.compile(r".*周[一二三四五六日末]|和.*|祝.*|谢啦|钱.|毛[太贵].*")


class _Path(NamedTuple):
    """The best division of a text up to a place: its weight, where its last word begins, and whether that is a name."""

    weight: float
    start: int
    is_name: bool


class _ChineseRun(NamedTuple):
    """A part of a text that has Chinese characters only."""

    text: str
    first: int
    last: int
    lexicon: Lexicon


def find(text: str) -> Iterator[Span]:
    """Find names of two to four characters, family names in front of titles, and transliterated names with a dot."""
    for match in _HAN.finditer(text):
        if not SINGLE.isdisjoint(match[0]) or any(each in match[0] for each in COMPOUND):
            yield from _names(_ChineseRun(text, match.start(), match.end(), chinese()))
    for match in _FAMILY_NAME.finditer(text):
        if match[1] in SINGLE or match[1] in COMPOUND:
            yield Span(match.start(1), match.end(1), PersonalDataKind.NAME)
    for match in _TRANSLITERATED.finditer(text) if "\u00b7" in text else ():
        yield Span(match.start(), match.end(), PersonalDataKind.NAME)


def _names(run: _ChineseRun) -> Iterator[Span]:
    """Return the names in the best division of a run."""
    best = [_Path(0.0, run.first, is_name=False)]
    for end in range(run.first + 1, run.last + 1):
        best.append(
            max(
                _Path(best[start - run.first].weight + weight, start, is_name)
                for start, weight, is_name in _endings(run, end)
            )
        )
    end, names = run.last, []
    while end > run.first:
        path = best[end - run.first]
        if path.is_name:
            names.append(Span(path.start, end, PersonalDataKind.NAME))
        end = path.start
    yield from reversed(names)


def _endings(run: _ChineseRun, end: int) -> Iterator[tuple[int, float, bool]]:
    """Return the words and names that end at a place: where they begin, their weight, and whether they are names."""
    words, labels = run.lexicon.words, word_list("chinese_labels")
    yield end - 1, words.get(run.text[end - 1], _UNKNOWN), False
    for start in range(max(run.first, end - _LONGEST), end):
        word = run.text[start:end]
        if end - start > 1 and (word in words or word in labels):
            yield start, words.get(word, _LABEL_WORD), False
        if (weight := _name_weight(run, start, end)) is not None:
            yield start, weight, True


def _name_weight(run: _ChineseRun, start: int, end: int) -> float | None:
    """Return the weight of a part of a run as a name, None if it cannot be one."""
    word = run.text[start:end]
    surname = word[:2] if word[:2] in COMPOUND else word[:1]
    given = word[len(surname) :]
    if surname not in SINGLE and surname not in COMPOUND:
        return None
    weight = _NAME + run.lexicon.surnames.get(surname, run.lexicon.surnames[""])
    if not given:
        return weight + _TITLED if _TITLE.match(run.text, end) else None
    place = _place_weight(run, start, end)
    if not _can_be_given(given) or _NO_NAME.fullmatch(word) or (place is None and not _is_usual(given, run.lexicon)):
        return None
    return weight + _given_weight(given, run.lexicon) + (place or 0.0)


def _place_weight(run: _ChineseRun, start: int, end: int) -> float | None:
    """Return what the words around a name add to its weight; None if nothing in front of it leads to a name."""
    titled = _TITLED if _AFTER_NAME.match(run.text, end) else 0.0
    if _LABEL.search(run.text, max(0, start - _LABEL_REACH), start):
        return titled + _LABELLED
    if _LEAD.search(run.text, max(0, start - _LABEL_REACH // 2), start):
        return titled + _LED
    if start == run.first:
        return titled + (_ALONE if end == run.last and end - start > _LONGEST_GIVEN else _FIRST)
    return titled or None


def _can_be_given(given: str) -> bool:
    return len(given) <= _LONGEST_GIVEN and _NEVER_GIVEN.isdisjoint(given) and not _TITLE.match(given)


def _given_weight(given: str, lexicon: Lexicon) -> float:
    only, leading, trailing = lexicon.given
    if len(given) == 1:
        return only.get(given, only[""])
    return leading.get(given[0], leading[""]) + trailing.get(given[1], trailing[""])


def _is_usual(given: str, lexicon: Lexicon) -> bool:
    """Return whether the dictionary has names with these characters."""
    only, leading, trailing = lexicon.given
    return given in only if len(given) == 1 else given[0] in leading and given[1] in trailing
