"""Chinese addresses: a number after the name of a road, an estate or a village, and the parts around it.

The parts after the number are buildings, floors and rooms. In front of it, the address begins with its province or city
if it has one, else after the last word that leads to a place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from triton_operator.masking.kinds import PersonalDataKind, Span
from triton_operator.masking.lexicon import chinese

_NUMBER = r"(?:\d{1,5}|[一二三四五六七八九十]{1,3})"
_UNIT = r"(?:号院|号楼|号|弄|栋|幢|座|单元|楼|层|室|户|组|期|区|门)"
_NUMBERED = rf"(?:[A-Z]?{_NUMBER}[A-Z]?{_UNIT}(?!线)[甲乙丙丁]?|[A-Z](?:座|栋|区|塔|幢))"
_ROOM = r"(?<=[栋幢座元楼号院塔层])\d{2,4}[A-Z]?(?![\dA-Za-z年月日元个只%.])"
_DETAIL = rf"(?:{_NUMBERED}|{_ROOM})"
_BUILDING = (
    r"(?:(?!附近|对面|旁边|门口)[\u4e00-\u9fff]){2,9}?(?:小区|花园|大厦|广场|公寓|宿舍|家园|大楼|中心|[东南西北]区)"
)
_ADDRESS = re.compile(
    r"(?<=[路街道巷弄里村区园苑湾城府组同])[东南西北中]?(?:[东南西北中一二三四五六七八九十]段)?"
    rf"{_NUMBERED}{_DETAIL}*(?:{_BUILDING}{_DETAIL}*)?"
)
_HAN_BEFORE = re.compile(r"[\u4e00-\u9fff]*$")
_REACH = 40
_PROVINCE = re.compile(
    r"(?:中国)?(?:北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南"
    r"|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门)(?:省|市|(?:壮族|回族|维吾尔)?自治区|特别行政区)?(?=[\u4e00-\u9fff])"
)
_CITY = re.compile(r"[\u4e00-\u9fff]{2,3}市")
_LEADS = frozenset("在到至往于是住从寄送给的")
"""Characters after which a place begins."""
_LEADS_UNLESS_WORD = frozenset("和与为去发过把将沿")
"""The same, unless they begin a word, as in 和平路."""
_NO_PLACE = re.compile(
    r"(?:^|[这那哪每两几某半])(?:条路|条街|路|街|道|里|院|区|园|村|城|组)$|^(?:服务|社|小|地|本|景)区$"
    r"|(?:知道|公里|频道|小组)$"
)


def find(text: str) -> Iterator[Span]:
    """Find addresses."""
    for match in _ADDRESS.finditer(text):
        start = _start(text, match.start())
        if start is not None:
            yield Span(start, match.end(), PersonalDataKind.ADDRESS)


def _start(text: str, number: int) -> int | None:
    """Return where the address begins whose number is at `number`; None if no place is in front of it."""
    run = _HAN_BEFORE.search(text, max(0, number - _REACH), number)
    first = run.start() if run else number
    if region := _PROVINCE.search(text, first, number) or _CITY.search(text, first, number):
        lead = _after_lead(text, region.start(), min(region.end(), number))
        return region.start() if lead is None or text[region.start()] == "中" else lead
    start = _after_lead(text, first, number)
    begin = first if start is None else start
    return None if number - begin < 2 or _NO_PLACE.search(text[begin:number]) else begin  # noqa: PLR2004


def _after_lead(text: str, first: int, last: int) -> int | None:
    """Return the place after the last lead in a part of a text."""
    words = chinese().words
    for place in range(last - 2, first - 1, -1):
        if text[place] in _LEADS or (text[place] in _LEADS_UNLESS_WORD and text[place : place + 2] not in words):
            return place + 1
    return None
