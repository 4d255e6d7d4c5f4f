"""Values of the slots in the frames of the test set, drawn by a seeded generator.

Each function returns a text and its type of personal data, "" for none. The checksums are computed here again and not
by the recognisers, so that an error in one is found by the other.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent / "frames"
PROVINCES = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新"
REGIONS = [
    "110101",
    "120103",
    "130102",
    "210202",
    "310104",
    "320106",
    "330106",
    "350203",
    "370102",
    "420111",
    "440305",
    "440106",
    "500103",
    "510107",
    "610113",
]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


class Value(NamedTuple):
    """The text of a slot, and the type of personal data."""

    text: str
    type: str = ""


@cache
def _lines(name: str) -> tuple[str, ...]:
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return tuple(each for line in lines for each in (line.split() if name == "chinese_names" else [line]))


def _digits(draw: Random, count: int) -> str:
    return "".join(str(draw.randrange(10)) for _ in range(count))


def _chosen(name: str, kind: str) -> Callable[[Random, str], Value]:
    """Return a function that draws a line of a file; {} in the name is the language of the frame."""
    return lambda draw, language: Value(draw.choice(_lines(name.format(language))), kind)


def _surname(draw: Random, language: str) -> Value:
    name = draw.choice(_lines(f"{language}_names"))
    if language == "english":
        return Value(name.split()[-1], "NAME")
    return Value(name[:2] if len(name) == 4 else name[:1], "NAME")


def _first(draw: Random, language: str) -> Value:
    return Value(draw.choice(_lines(f"{language}_names")).split()[0], "NAME")


# Telephone numbers.


def _mobile(draw: Random) -> str:
    return draw.choice(("133", "135", "138", "139", "150", "155", "158", "176", "182", "186", "189", "191", "199")) + (
        _digits(draw, 8)
    )


def _phone(pattern: str) -> Callable[[Random, str], Value]:
    """Return a function that writes a mobile number of China as the parts {a} (3), {b} (4) and {c} (4)."""

    def write(draw: Random, language: str) -> Value:
        number = _mobile(draw)
        return Value(pattern.format(a=number[:3], b=number[3:7], c=number[7:]), "PHONE")

    return write


def _full_width(draw: Random, language: str) -> Value:
    return Value(_mobile(draw).translate({ord(each): ord(each) - 48 + 0xFF10 for each in "0123456789"}), "PHONE")


def _landline(draw: Random, language: str) -> Value:
    area = draw.choice(("010", "021", "0755", "0571", "028", "0731", "025", "400"))
    if area == "400":
        return Value(f"400-{draw.choice(('820', '650', '888'))}-{_digits(draw, 4)}", "PHONE")
    number = f"{draw.randrange(2, 9)}{_digits(draw, 7)}"
    return Value(draw.choice(("{}-{}", "{}{}", "({}){}", "{} {}")).format(area, number), "PHONE")


def _us_phone(draw: Random, language: str) -> Value:
    area, last = draw.choice(("202", "303", "415", "512", "617", "773")), f"01{_digits(draw, 2)}"
    pattern = draw.choice(("({}) 555-{}", "{}-555-{}", "{}.555.{}", "+1 {} 555 {}", "+1-{}-555-{}", "1-{}-555-{}"))
    return Value(pattern.format(area, last), "PHONE")


def _uk_phone(draw: Random, language: str) -> Value:
    pattern = draw.choice(("020 7946 0{}", "07700 900{}", "0161 496 0{}", "+44 20 7946 0{}", "+44 7700 900{}"))
    return Value(pattern.format(_digits(draw, 3)), "PHONE")


def _intl(draw: Random, language: str) -> Value:
    patterns = (
        "+44 7700 900{a}", "+1 212 555 01{b}", "+61 491 570 1{c}", "+49 30 23125 {a}", "+33 6 39 98 {b} {c}",
        "+46 70 174 06 {b}", "+81 90-{d}-{e}", "+91 98{a} {b}{a}", "+65 9{a} {d}", "+82 10-{d}-{e}",
        "0044 7700 900{a}", "+7 916 {a}-{b}-{c}", "+55 11 9{d}-{e}", "+34 612 {b} {c} {f}", "+86 138 {d} {e}",
    )  # fmt: skip
    parts = {"a": 3, "b": 2, "c": 2, "d": 4, "e": 4, "f": 2}
    return Value(draw.choice(patterns).format(**{key: _digits(draw, size) for key, size in parts.items()}), "PHONE")


def _hong_kong(draw: Random, language: str) -> Value:
    return Value(f"+852 {draw.choice('569')}{_digits(draw, 3)} {_digits(draw, 4)}", "PHONE")


def _taiwan(draw: Random, language: str) -> Value:
    return Value(f"+886 9{_digits(draw, 2)} {_digits(draw, 3)} {_digits(draw, 3)}", "PHONE")


# Numbers with a checksum.


def _birth(draw: Random, first: date, last: date) -> date:
    return first + timedelta(days=draw.randrange((last - first).days))


def _id18(draw: Random, language: str) -> Value:
    born = _birth(draw, date(1940, 1, 1), date(2015, 1, 1))
    number = f"{draw.choice(REGIONS)}{born:%Y%m%d}{_digits(draw, 3)}"
    return Value(number + id_check(number), "ID_CARD")


def _id15(draw: Random, language: str) -> Value:
    born = _birth(draw, date(1930, 1, 1), date(1990, 1, 1))
    return Value(f"{draw.choice(REGIONS)}{born:%y%m%d}{_digits(draw, 3)}", "ID_CARD")


def _bad_id18(draw: Random, language: str) -> Value:
    number = _id18(draw, language).text[:17]
    return Value(number + draw.choice([each for each in "0123456789" if each != id_check(number)]))


def id_check(number: str) -> str:
    """Return the check character of an identity number of China (GB 11643), from its first 17 digits."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[sum(int(digit) * weight for digit, weight in zip(number, weights, strict=True)) % 11]


def luhn_check(number: str) -> str:
    """Return the digit that completes a card number (ISO/IEC 7812)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def _card_number(draw: Random, brand: str) -> str:
    prefix, length = {
        "unionpay16": ("622848", 16), "unionpay19": ("621700", 19), "visa": ("4539", 16), "mc": ("5412", 16),
        "amex": ("3782", 15),
    }[brand]  # fmt: skip
    body = prefix + _digits(draw, length - len(prefix) - 1)
    return body + luhn_check(body)


def _card(*brands: str, separator: str = "") -> Callable[[Random, str], Value]:
    def write(draw: Random, language: str) -> Value:
        number = _card_number(draw, draw.choice(brands))
        return Value(separator.join(number[at : at + 4] for at in range(0, len(number), 4)), "BANK_CARD")

    return write


def _amex(draw: Random, language: str) -> Value:
    number = _card_number(draw, "amex")
    return Value(f"{number[:4]} {number[4:10]} {number[10:]}", "BANK_CARD")


def _bad_card(draw: Random, language: str) -> Value:
    number = _card_number(draw, draw.choice(("unionpay16", "unionpay19", "visa")))
    return Value(number[:-1] + str((int(number[-1]) + draw.randrange(1, 10)) % 10))


# Networks.


def _email(draw: Random, language: str) -> Value:
    users = [
        "li.wei",
        "zhangsan88",
        "j.doe",
        "info",
        "sales-team",
        "k_tan",
        "mei.lin+news",
        "a.b.c",
        "hr2026",
        "support",
        "wang-fang",
        "m.keller",
        "x9",
    ]
    hosts = [
        "example.com",
        "example.org",
        "example.net",
        "mail.example.com",
        "example.com.cn",
        "corp.example.cn",
        "example.co.uk",
    ]
    return Value(f"{draw.choice(users)}@{draw.choice(hosts)}", "EMAIL")


def _ipv4(draw: Random, language: str) -> Value:
    networks = ("192.0.2", "198.51.100", "203.0.113", "10.0.12", "192.168.1", "172.16.8")
    return Value(f"{draw.choice(networks)}.{draw.randrange(1, 255)}", "IP")


def _ipv6(draw: Random, language: str) -> Value:
    groups = [f"{draw.randrange(1, 65536):x}" for _ in range(6)]
    forms = ("2001:db8:" + ":".join(groups), "2001:db8::" + groups[0], f"2001:db8:{groups[0]}::{groups[1]}", "fe80::1")
    return Value(draw.choice(forms), "IP")


# Passports and vehicles.


def _passport_cn(draw: Random, language: str) -> Value:
    series = draw.choice("ABCDEFGHJKLMNPQRSTUVWXYZ")
    return Value(
        draw.choice((f"E{_digits(draw, 8)}", f"E{series}{_digits(draw, 7)}", f"G{_digits(draw, 8)}")), "PASSPORT"
    )


def _passport(draw: Random, language: str) -> Value:
    forms = (
        f"{draw.randrange(1, 10)}{_digits(draw, 8)}",  # United Kingdom, older United States
        f"{draw.choice('AXYZ')}{_digits(draw, 8)}",  # United States
        f"C{draw.choice('FGHJK')}{draw.choice('CFGHJK')}{_digits(draw, 5)}{draw.choice('TVWX')}",  # Germany
        f"{_digits(draw, 2)}{draw.choice('ABCDEF')}{draw.choice('RSTVX')}{_digits(draw, 5)}",  # France
        f"T{draw.choice('HKRS')}{_digits(draw, 7)}",  # Japan
        f"M{_digits(draw, 8)}",  # Korea
        f"E{_digits(draw, 8)}",  # China
    )
    return Value(draw.choice(forms), "PASSPORT")


def _plate(form: str) -> Callable[[Random, str], Value]:
    """Return a function that writes a plate of China: `plain`, `dot` (with a dot), `ev` (8 characters) or `special`."""

    def write(draw: Random, language: str) -> Value:
        office = draw.choice(PROVINCES) + draw.choice("ABCDEFGH")
        letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
        if form == "ev":
            return Value(
                f"{office}{draw.choice('DF')}{draw.choice('0123456789' + letters)}{_digits(draw, 4)}", "LICENSE_PLATE"
            )
        if form == "special":
            return Value(f"{office}{_digits(draw, 4)}{draw.choice('学警')}", "LICENSE_PLATE")
        body = draw.choice(
            (
                _digits(draw, 5),
                f"{draw.choice(letters)}{_digits(draw, 4)}",
                f"{_digits(draw, 3)}{draw.choice(letters)}{_digits(draw, 1)}",
            )
        )
        return Value(f"{office}{'·' if form == 'dot' else ''}{body}", "LICENSE_PLATE")

    return write


def _plate_uk(draw: Random, language: str) -> Value:
    letters = "ABCDEFGHJKLMNOPRSTUVWXY"
    tail = "".join(draw.choice(letters) for _ in range(3))
    return Value(
        f"{draw.choice(letters)}{draw.choice(letters)}{draw.choice(('51', '19', '70', '23'))} {tail}", "LICENSE_PLATE"
    )


def _plate_us(draw: Random, language: str) -> Value:
    a, b, c = (draw.choice("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(3))
    return Value(
        draw.choice((f"{draw.randrange(5, 9)}{a}{b}{c}{_digits(draw, 3)}", f"{a}{b}{c}-{_digits(draw, 4)}")),
        "LICENSE_PLATE",
    )


# Values that are not personal data.


def _price(draw: Random, language: str) -> Value:
    return Value(f"{draw.randrange(1, 99999):,}.{_digits(draw, 2)}")


def _big_price(draw: Random, language: str) -> Value:
    return Value(f"{draw.randrange(10**9, 10**12)}" if draw.randrange(2) else f"{draw.randrange(10**8, 10**11):,}")


def _day(draw: Random) -> date:
    return _birth(draw, date(2000, 1, 1), date(2030, 1, 1))


def _date(draw: Random, language: str) -> Value:
    day = _day(draw)
    forms = (
        f"{day.year}年{day.month}月{day.day}日",
        f"{day:%Y-%m-%d}",
        f"{day:%Y/%m/%d}",
        f"{day:%Y.%m.%d}",
        f"{day:%Y%m%d}",
    )
    return Value(draw.choice(forms))


def _date_en(draw: Random, language: str) -> Value:
    day = _day(draw)
    name = MONTHS[day.month - 1]
    forms = (f"{name} {day.day}, {day.year}", f"{day.day} {name} {day.year}", f"{day:%m/%d/%Y}", f"{day:%d.%m.%Y}")
    return Value(draw.choice(forms))


def _version(draw: Random, parts: int) -> str:
    return ".".join(str(draw.randrange(0, 30)) for _ in range(parts))


def _hexadecimal(count: int) -> Callable[[Random, str], Value]:
    return lambda draw, language: Value(f"{draw.getrandbits(4 * count):0{count}x}")


def _number_between(first: int, last: int) -> Callable[[Random, str], Value]:
    return lambda draw, language: Value(str(draw.randrange(first, last)))


SLOTS: dict[str, Callable[[Random, str], Value]] = {
    "name": _chosen("{}_names", "NAME"),
    "name_en": _chosen("english_names", "NAME"),
    "name_zh": _chosen("chinese_names", "NAME"),
    "surname": _surname,
    "surname_only": _surname,
    "first": _first,
    "addr": _chosen("{}_addresses", "ADDRESS"),
    "addr_en": _chosen("english_addresses", "ADDRESS"),
    "addr_zh": _chosen("chinese_addresses", "ADDRESS"),
    "phone": _phone("{a}{b}{c}"),
    "cn_phone": _phone("{a}{b}{c}"),
    "phone_spaced": _phone("{a} {b} {c}"),
    "phone_dashed": _phone("{a}-{b}-{c}"),
    "phone_86": _phone("+86 {a}{b}{c}"),
    "phone_full": _full_width,
    "landline": _landline,
    "us_phone": _us_phone,
    "uk_phone": _uk_phone,
    "intl": _intl,
    "intl_hk": _hong_kong,
    "intl_tw": _taiwan,
    "id18": _id18,
    "id15": _id15,
    "bad_id18": _bad_id18,
    "card": _card("unionpay16", "unionpay19", "visa", "mc"),
    "card_spaced": _card("unionpay16", "unionpay19", "visa", separator=" "),
    "card_dashed": _card("unionpay16", "mc", separator="-"),
    "card_visa": _card("visa"),
    "card_mc": _card("mc"),
    "card_amex": _amex,
    "bad_card": _bad_card,
    "email": _email,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "passport_cn": _passport_cn,
    "passport_ctx": _passport,
    "passport_foreign": _passport,
    "plate": _plate("plain"),
    "plate_dot": _plate("dot"),
    "plate_special": _plate("special"),
    "ev_plate": _plate("ev"),
    "plate_uk": _plate_uk,
    "plate_us": _plate_us,
    "price": _price,
    "bigprice": _big_price,
    "date": _date,
    "date_en": _date_en,
    "date_iso": lambda draw, language: Value(f"{_day(draw):%Y-%m-%d}"),
    "time": lambda draw, language: Value(f"{draw.randrange(24):02}:{draw.randrange(60):02}"),
    "year": _number_between(1950, 2030),
    "version": lambda draw, language: Value(_version(draw, 3)),
    "version4": lambda draw, language: Value(_version(draw, 4)),
    "hash7": _hexadecimal(7),
    "hash32": _hexadecimal(32),
    "hash64": _hexadecimal(64),
    "hex2": _hexadecimal(2),
    "hex6": _hexadecimal(6),
    "hex8": _hexadecimal(8),
    "uuid": lambda draw, language: Value(str(uuid.UUID(int=draw.getrandbits(128), version=4))),
    "ts10": _number_between(1_500_000_000, 1_800_000_000),
    "ts13": _number_between(1_500_000_000_000, 1_800_000_000_000),
}
"""A function for each slot; its arguments are the generator and the language of the frame."""
