"""Personal data is found in the frozen sentences as often as promised, and seldom where there is none."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.unit.masking import corpus
from tests.unit.masking.corpus import LANGUAGES
from tests.unit.masking.scores import scores
from triton_operator.masking import PersonalDataKind, Span, find
from triton_operator.masking.word_lists import word_list

ROOT = Path(__file__).parents[3]
OPEN_FORM = {PersonalDataKind.NAME, PersonalDataKind.ADDRESS}
"""Types without a checksum or a fixed form."""


def found(text: str) -> list[tuple[str, str]]:
    """Return the type and the text of each span."""
    return [(span.type, text[span.start : span.end]) for span in find(text)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_precision_and_recall_of_each_type(language: str) -> None:
    counted = scores(corpus.sentences(language), lambda text: [corpus.Span(*span) for span in find(text)])
    assert set(counted) == set(PersonalDataKind)
    for kind, score in counted.items():
        least = 0.85 if kind in OPEN_FORM else 0.95
        assert score.precision >= least, f"{kind}: {score}"
        assert score.recall >= least, f"{kind}: {score}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_few_sentences_without_personal_data_are_changed(language: str) -> None:
    clean = [each.text for each in corpus.sentences(language) if not each.spans]
    assert sum(bool(find(text)) for text in clean) <= 0.03 * len(clean)


def test_the_documentation_of_this_project_is_hardly_changed() -> None:
    """It has IP addresses, and no other personal data."""
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    lines = [
        line for page in pages if page.name != "masking.md" for line in page.read_text(encoding="utf-8").splitlines()
    ]
    changed = [line for line in lines if any(span.type != PersonalDataKind.IP for span in find(line))]
    assert len(lines) > 3000
    assert len(changed) <= 0.003 * len(lines), changed


CASES = {
    "a mobile number of China": ("电话 139-1234-5678", [("PHONE", "139-1234-5678")]),
    "a country code in brackets": ("Tel (+86) 13912345678", [("PHONE", "(+86) 13912345678")]),
    "a landline with its area code": ("请拨0592-5181234。", [("PHONE", "0592-5181234")]),
    "full-width digits": ("手机\uff11\uff13\uff19\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18", None),
    "a national number with a label": ("Phone: 030 901820", [("PHONE", "030 901820")]),
    "a number of twelve digits": ("任务139123456789已完成", []),
    "an order number like a mobile number": ("订单号 13912345678", []),
    "an identity card": ("11010519491231002X", [("ID_CARD", "11010519491231002X")]),
    "an identity card in lower case": ("id 11010519491231002x.", [("ID_CARD", "11010519491231002x")]),
    "a wrong check character": ("110105194912310021", []),
    "a day that does not exist": ("110105194913310021", []),
    "a date in the future": ("110105299912310020", []),
    "an old identity card": ("身份证 110105491231002", [("ID_CARD", "110105491231002")]),
    "a bank card": ("pay with 4111 1111 1111 1111 now", [("BANK_CARD", "4111 1111 1111 1111")]),
    "a card with a wrong check digit": ("pay with 4111 1111 1111 1112 now", []),
    "a card of American Express": ("3782-822463-10005", [("BANK_CARD", "3782-822463-10005")]),
    "other groups of digits": ("41 11 11 11 11 11 11 11", []),
    "an e-mail address after a sign": ("mail=a.b@example.org;", [("EMAIL", "a.b@example.org")]),
    "an e-mail address in a sentence": ("Ask x@example.com.", [("EMAIL", "x@example.com")]),
    "a name of a package": ("pip install a@1.2.3", []),
    "an IPv4 address with a port": ("at 203.0.113.9:8000", [("IP", "203.0.113.9")]),
    "an octet that is too large": ("at 203.0.113.256", []),
    "a version with four parts": ("version 1.2.3.4 is out", []),
    "an IPv6 address": ("ping 2001:db8::5", [("IP", "2001:db8::5")]),
    "a time": ("at 12:30:45", []),
    "a hardware address": ("00:1b:44:11:3a:b7", []),
    "a name in C++": ("a::b and std::vector", []),
    "a passport of China": ("护照 EA1234567", [("PASSPORT", "EA1234567")]),
    "a passport without a label": ("G12345678", [("PASSPORT", "G12345678")]),
    "a passport of another country": ("my passport is 123456789", [("PASSPORT", "123456789")]),
    "nine digits without a label": ("we sold 123456789 units", []),
    "a plate of China": ("粤B·12345", [("LICENSE_PLATE", "粤B·12345")]),
    "a plate of an electric car": ("京AD12345", [("LICENSE_PLATE", "京AD12345")]),
    "a plate with its label": ("plate AB12 CDE", [("LICENSE_PLATE", "AB12 CDE")]),
    "the same letters without a label": ("use AB12 CDE", []),
    "an address in a village": (
        "送到福建省菆田市仙游县枫亭镇下桥村18号",
        [
            (
                "ADDRESS",
                "福建省菆田市仙游县枫亭镇下桥村18号",
            )
        ],
    ),
    "a line of the underground": ("地铁沿江路10号线", []),
    "a city alone": ("我在北京市", []),
    "an American address": (
        "Send it to 5 Birch Lane, Dover, DE 19901.",
        [("ADDRESS", "5 Birch Lane, Dover, DE 19901")],
    ),
    "a street without a number": ("Baker Street is long", []),
    "a Chinese name": ("我叫林晓东", [("NAME", "林晓东")]),
    "a family name with a title": ("黄先生您好", [("NAME", "黄")]),
    "a family name with 姓": ("我姓林。", [("NAME", "林")]),
    "a transliterated name": ("弗拉基·尼古拉", None),
    "words that begin like names": ("高兴地看黄河", []),
    "a name in English": ("I met Laura Hansen there", [("NAME", "Laura Hansen")]),
    "a title with a dot": ("Dr. Okafor is in", [("NAME", "Okafor")]),
    "a name in Pinyin": ("Zhao Min is in", [("NAME", "Zhao Min")]),
    "a name of a company": ("Morgan Street Bank", []),
    "two names in one run": ("Emma Stein Paul Weber", None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_text_has_this_personal_data(case: str) -> None:
    """None: everything in the text is one span, or more."""
    text, expected = CASES[case]
    spans = find(text)
    if expected is None:
        assert spans
        assert spans[-1].end == len(text)
    else:
        assert [(span.type, text[span.start : span.end]) for span in spans] == expected


def test_both_languages_in_one_text() -> None:
    text = "Hi Laura\uff0c我是王晓明\uff0ccall 13912345678 or mail a@example.com"
    assert found(text) == [
        ("NAME", "Laura"),
        ("NAME", "王晓明"),
        ("PHONE", "13912345678"),
        ("EMAIL", "a@example.com"),
    ]


def test_only_the_requested_types_are_found() -> None:
    text = "Laura Hansen, a@example.com"
    assert [span.type for span in find(text)] == ["NAME", "EMAIL"]
    assert [span.type for span in find(text, [PersonalDataKind.EMAIL])] == ["EMAIL"]


def test_an_own_recognizer_wins_over_the_others() -> None:
    spans = find("staff no. 13912345678", recognizers=[lambda text: iter([Span(10, len(text), "STAFF")])])
    assert spans == [Span(10, 21, "STAFF")]


@pytest.mark.parametrize("text", ["Ab van ", "王小明", "12 Ab Street, ", "路1号", "1 ", "a@", "Calle ", "1.1."])
@pytest.mark.timeout(300)
def test_a_long_text_of_any_kind_does_not_hang(text: str) -> None:
    spans = find(text * 20_000)
    assert all(one.end <= other.start for one, other in pairwise(spans))


def test_word_lists_have_no_word_twice() -> None:
    """Each list is sorted and readable."""
    folder = ROOT / "operator" / "triton_operator" / "masking" / "lexicons"
    for path in folder.glob("*.txt"):
        lines = path.read_text(encoding="utf-8").splitlines()
        words = [word for line in lines if not line.startswith("#") for word in line.split()]
        assert lines[0].startswith("# ")
        assert words == sorted(word_list(path.stem)), path.name
