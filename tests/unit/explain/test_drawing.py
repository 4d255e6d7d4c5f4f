"""Output of explanations: terminal, PNG and JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from triton_operator.explain import Explanation, ExplanationError, Method, RowKind

DEJAVU = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
RED, BLUE = (214, 39, 40), (31, 105, 190)


def explanation(kind: RowKind, attributions: Any, row: Any, **changes: Any) -> Explanation:
    """An explanation with the prediction 1 and the base value 0.25."""
    made = Explanation(
        method=Method.KERNEL_SHAP,
        kind=kind,
        target=(7,),
        baseline="0 in place of each value",
        base_value=0.25,
        prediction=1.0,
        attributions=np.array(attributions, dtype=np.float64),
        row=np.array(row),
        evaluations=1234,
        seconds=1.5,
        model="digits",
    )
    return replace(made, **changes)


def picture(**changes: Any) -> Explanation:
    """8x8 in patches of 4: the first increased the prediction, the last decreased it."""
    shares = np.zeros((1, 8, 8))
    shares[0, :4, :4] = 1 / 16
    shares[0, 4:, 4:] = -0.25 / 16
    return explanation(RowKind.IMAGE, shares, np.eye(8, dtype=np.float32)[None], patch=4, **changes)


def text(**changes: Any) -> Explanation:
    return explanation(RowKind.TEXT, [0.1, 0.9, -0.25], "我爱你", **{"pieces": ("我", "爱", "你")} | changes)


def columns(**changes: Any) -> Explanation:
    return explanation(RowKind.TABLE, [0.1, -0.25, 0.9], [5.0, 6.0, 7.0], **changes)


def test_a_picture_is_a_grid_of_signed_numbers_where_colours_are_not_wanted() -> None:
    lines = picture(error=0.01).text().splitlines()
    assert lines[0] == "digits: output 7 is 1, by kernel-shap"
    assert lines[1] == "against 0.25 for the baseline (0 in place of each value)"
    assert lines[3:6] == ["  +1.00      .", "      .  -0.25", "each number: 4x4 pixels; a dot means close to 0"]
    assert lines[7] == "attributions add up to +0.75 of +0.75, gap +0"
    assert lines[8:] == ["standard error of a piece 0.01; more samples lower it", "1,234 evaluations in 1.5 s"]


def test_one_of_several_outputs_is_named_in_the_headline() -> None:
    """A label is more informative than the name of its output."""
    several = {"output": "scores", "outputs": ("scores", "boxes")}
    assert picture(**several).text().startswith("digits: output 7 of scores is 1, by")
    assert picture(**several, target=()).text().startswith("digits: output scores is 1, by")
    assert picture(**several, label="four").text().startswith("digits: output four is 1, by")
    assert picture(output="scores", outputs=("scores",)).text().startswith("digits: output 7 is 1, by")
    assert "\033" not in picture(output="\033[2J", outputs=("\033[2J", "b")).text()


@pytest.mark.parametrize(
    ("factor", "shown", "unit"), [(1e-3, "+1.00", ", times 1e-3"), (5e4, "+5.00", ", times 1e4"), (50, "+50.00", "")]
)
def test_numbers_of_any_size_fit_their_places(factor: float, shown: str, unit: str) -> None:
    """Attributions of a model that does not return probabilities are rarely between 0.1 and 100."""
    lines = replace(picture(), attributions=picture().attributions * factor).text().splitlines()
    assert lines[3].split() == [shown, "."]
    assert lines[5] == f"each number: 4x4 pixels{unit}; a dot means close to 0"


def test_an_image_is_half_blocks_in_colour() -> None:
    """Four lines for eight rows; the ends of the scale are red and blue."""
    lines = [line for line in picture().text(colour=True).splitlines() if "▀" in line]
    assert len(lines) == 4
    assert all(line.count("▀") == 8 for line in lines)
    assert "\033[38;2;{};{};{}m".format(*RED) in lines[0]
    assert "\033[" not in picture().text()


@pytest.mark.parametrize("width", [20, 80, 200])
@pytest.mark.parametrize("colour", [False, True])
def test_a_large_picture_fits_the_terminal(width: int, *, colour: bool) -> None:
    random = np.random.default_rng(1)
    large = explanation(RowKind.IMAGE, random.normal(size=(3, 90, 130)), random.random((3, 90, 130)))
    body = large.text(colour=colour, width=width).split("\n\n")[1].splitlines()
    drawn = [line.count("▀") if colour else len(line) for line in body[:-1]]
    assert max(drawn) <= width


def test_a_text_is_its_pieces_with_their_weights() -> None:
    assert "\n我(+0.10) 爱(+0.90) 你(-0.25)\n" in text().text()
    coloured = text().text(colour=True)
    assert "\033[48;2;{};{};{}m\033[38;2;255;255;255m爱".format(*RED) in coloured
    assert "爱(+0.90)" in coloured


def test_control_characters_in_a_text_are_escaped() -> None:
    evil = text(pieces=("\033[2J", "爱", "你"))
    assert "\033[2J" not in evil.text() + evil.text(colour=True)
    assert "\\x1b[2J(+0.10)" in evil.text()


def test_columns_are_sorted_by_their_part() -> None:
    plain = columns(pieces=("age", "身高", "weight")).text().splitlines()[3:6]
    assert [line.split() for line in plain] == [
        ["weight", "7", "+0.9"],
        ["身高", "6", "-0.25"],
        ["age", "5", "+0.1"],
    ]
    bars = columns().text(colour=True).splitlines()[3:6]
    assert [line.count("█") > 0 for line in bars] == [True, True, True]
    assert bars[0].startswith("x2 ")
    assert bars[0].count("█") > bars[1].count("█") > bars[2].count("█")


def test_many_columns_are_cut_with_what_the_rest_adds() -> None:
    many = explanation(RowKind.TABLE, [1.0] * 20 + [0.25] * 4, np.zeros((4, 6)))
    assert "… 4 more, together +1" in many.text()
    assert "x[0,0]" in many.text()


def test_a_method_without_a_sum_states_none() -> None:
    shown = columns(base_value=None, method=Method.SALIENCY, notes=("no sum",))
    assert "add up" not in shown.text()
    assert "note: no sum" in shown.text()
    assert shown.to_json()["gap"] is None


def test_programs_get_everything_as_json() -> None:
    data = json.loads(json.dumps(text(label="Chinese").to_json()))
    assert data["target"] == {"index": [7], "label": "Chinese"}
    assert data["attributions"] == {"shape": [3], "data": [0.1, 0.9, -0.25]}
    assert (data["prediction"], data["baseValue"], data["evaluations"]) == (1, 0.25, 1234)
    assert (data["sum"], data["gap"]) == (pytest.approx(0.75), pytest.approx(0))
    assert data["pieces"] == ["我", "爱", "你"]


def test_an_image_is_next_to_its_heat_map(tmp_path: Path) -> None:
    """Red where it increased the prediction, blue where it decreased it, with the input to the left."""
    picture().save_png(tmp_path / "out.png")
    drawn = Image.open(tmp_path / "out.png").convert("RGB")
    left, top = 16, 60
    right = left + 336 + 16
    assert drawn.getpixel((left + 5, top + 5)) == (255, 255, 255)
    assert drawn.getpixel((left + 60, top + 5)) == (0, 0, 0)
    assert drawn.getpixel((right + 60, top + 5)) == RED
    assert drawn.getpixel((right + 5, top + 330)) == (255, 255, 255)
    red, _, blue = drawn.getpixel((right + 220, top + 330))  # type: ignore[misc]
    assert blue > red


def test_bars_go_right_for_what_raised_it_and_left_for_what_lowered_it(tmp_path: Path) -> None:
    columns().save_png(tmp_path / "out.png")
    pixels = np.asarray(Image.open(tmp_path / "out.png").convert("RGB"))
    red, blue = (np.flatnonzero((pixels == colour).all(axis=2).any(axis=0)) for colour in (RED, BLUE))
    assert red.min() >= blue.max()
    assert len(red) > len(blue)


def test_characters_that_no_font_has_are_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of identical boxes."""
    from triton_operator.explain import fonts

    monkeypatch.setattr(fonts, "_FOLDERS", ())
    fonts._wide_fonts.cache_clear()
    assert fonts.Fonts(20).write("爱")[0] == "U+7231"
    assert fonts.Fonts(20).write("a love")[0] == "a love"
    text().save_png(tmp_path / "out.png")
    fonts._wide_fonts.cache_clear()


def test_a_given_font_is_preferred(tmp_path: Path) -> None:
    from triton_operator.explain.fonts import Fonts

    letter = "\u2603"  # A snowman: the font that pillow brings has none.
    fonts = Fonts(20, DEJAVU)
    font = fonts.holding(letter)
    assert font is not None
    assert font.getname()[0] == "DejaVu Sans"  # type: ignore[union-attr]
    with pytest.raises(ExplanationError, match=r"font: .*nowhere.ttf cannot be read as a font"):
        text().save_png(tmp_path / "out.png", font="nowhere.ttf")
