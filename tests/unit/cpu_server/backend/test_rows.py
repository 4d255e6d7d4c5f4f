"""With max_batch_size, an output has the rows of its request: alone and in a batch, whatever the model does."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.triton_backend import Letters, Tensor, ask, load, numbers, put, save, serve, text

backend = load()["model"]


class Boxes(torch.nn.Module):
    """Returns a row for each detected box, which is not a row of the batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep boxes with a score above a half."""
        return x[x[:, :, 0] > 0.5]


class Nonzero(torch.nn.Module):
    """The same with positions."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep boxes with a score above a half."""
        return x.flatten(0, 1)[torch.nonzero(x[:, :, 0].flatten() > 0.5).flatten()]


class Selected(torch.nn.Module):
    """The same with a list."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep boxes with a score above a half."""
        kept = [x[0, 0, :0]]
        for row in x:
            for box in row:
                if bool(box[0] > 0.5):
                    kept.append(box)  # noqa: PERF401 - as many people write it
        return torch.stack(kept[1:]) if len(kept) > 1 else x.flatten(0, 1)[:0]


class Cut(torch.nn.Module):
    """Returns a number of rows that depends on the values."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Count boxes with a score above a half and give as many."""
        return x.flatten(0, 1)[: int((x[:, :, 0] > 0.5).sum())]


class Leading(torch.nn.Module):
    """Returns the rows before the first larger one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep the first boxes of each picture with a score up to a half."""
        kept = [x[0, 0, :0]]
        for row in x:
            place = 0
            while place < row.shape[0] and bool(row[place, 0] <= 0.5):
                kept.append(row[place])
                place += 1
        return torch.stack(kept[1:]) if len(kept) > 1 else x.flatten(0, 1)[:0]


class Added(torch.nn.Module):
    """The same by concatenating lists."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep boxes with a score up to a half."""
        kept = [x[0, 0, :0]]
        for box in x.flatten(0, 1):
            if bool(box[0] <= 0.5):
                kept = kept + [box]  # noqa: RUF005 - TorchScript has no other way
        return torch.stack(kept[1:]) if len(kept) > 1 else x.flatten(0, 1)[:0]


class Joined(torch.nn.Module):
    """The same by concatenating tensors."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep boxes with a score up to a half."""
        kept = x.flatten(0, 1)[:0]
        for box in x.flatten(0, 1):
            if bool(box[0] <= 0.5):
                kept = torch.cat([kept, box[None]])
        return kept


class Keyed(torch.nn.Module):
    """The same with a dictionary."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep boxes with a score up to a half."""
        kept: dict[int, torch.Tensor] = {}
        every = x.flatten(0, 1)
        for place in range(every.shape[0]):
            if bool(every[place, 0] <= 0.5):
                kept[place] = every[place]
        return torch.stack(list(kept.values())) if len(kept) > 0 else every[:0]


class Counted(torch.nn.Module):
    """The same with a number."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep boxes with a score up to a half."""
        every = x.flatten(0, 1)
        number = 0
        for box in every:
            if bool(box[0] <= 0.5):
                number += 1
        return every[every[:, 0].argsort()][:number]


class Ranged(torch.nn.Module):
    """The same with positions up to a number."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep boxes with a score up to a half."""
        every = x.flatten(0, 1)
        return every[every[:, 0].argsort()][torch.arange(float((every[:, 0] <= 0.5).sum())).long()]


class Parted(torch.nn.Module):
    """The same by splitting at a position."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep boxes with a score up to a half."""
        every = x.flatten(0, 1)
        return torch.tensor_split(every[every[:, 0].argsort()], (every[:, 0] <= 0.5).sum()[None])[0]


class LargestMask(torch.nn.Module):
    """The same with a mask, from an operation that also returns positions."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep boxes with a score up to a half."""
        every = x.flatten(0, 1)
        return every[(every[:, :1] <= 0.5).max(1)[0]]


class Flagged(torch.nn.Module):
    """The same, decided by a list of booleans."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep boxes with a score above a half."""
        flags: list[bool] = []
        for score in x[:, :, 0].flatten():
            flags.append(bool(torch.gt(score, 0.5)))  # noqa: PERF401 - as many people write it
        kept = [x[0, 0, :0]]
        for box, flag in zip(x.flatten(0, 1), flags):  # noqa: B905 - TorchScript has no strict.
            if flag:
                kept.append(box)
        return torch.stack(kept[1:]) if len(kept) > 1 else x.flatten(0, 1)[:0]


class Chosen(torch.nn.Module):
    """Returns text for some rows only."""

    def forward(self, texts: list[str]) -> list[str]:
        """Say each long text twice and no short one."""
        messages: list[str] = []
        for each in texts:
            if len(each) > 3:
                messages.append(each)
                messages.append(each)
        return messages


class Turned(torch.nn.Module):
    """The batch is the last dimension."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn it."""
        return x.t()


class Total(torch.nn.Module):
    """There is no batch dimension."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Sum over everything."""
        return x.sum()


class Squeezed(torch.nn.Module):
    """Drops the dimension of a batch of one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Squeeze it."""
        return x.squeeze(0)


class HalfRight(torch.nn.Module):
    """One output is correct, one is not; and there is a flag for each row."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give x and a single row."""
        return x > 0, x[:1]


class Optional(torch.nn.Module):
    """Accepts a second input or none."""

    def forward(self, x: torch.Tensor, more: torch.Tensor | None = None) -> torch.Tensor:
        """Add it."""
        return x if more is None else x + more


class Looked(torch.nn.Module):
    """Looks up rows, one for each input row, for any values."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(torch.arange(8.0).reshape(4, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Look up."""
        return self.table[x]


class Attention(torch.nn.Module):
    """Attention within each row; torch's own code appends to lists depending on shapes and types."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = torch.nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend."""
        return self.attention(x, x, x)[0]  # type: ignore[no-any-return]


class Encoder(torch.nn.Module):
    """Layers of attention, with padding."""

    def __init__(self) -> None:
        super().__init__()
        layer = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.layers = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend where the first number is above 0."""
        return self.layers(x, src_key_padding_mask=x[:, :, 0] <= 0)  # type: ignore[no-any-return]


def config(inputs: list[Any], outputs: list[Any], batch: int = 8) -> dict[str, Any]:
    """A config as Triton passes it."""
    return {"name": "model", "max_batch_size": batch, "input": inputs, "output": outputs}


def boxes(*scores: float) -> list[Tensor]:
    """The boxes of an image, marked with the caller's first score."""
    return [numbers("x", [[[score, scores[0], 1, 1, 1] for score in scores]])]


def counted(model: Any) -> list[int]:
    """Count the rows of each run from now on."""
    calls: list[int] = []
    run = model._module

    def counting(rows: torch.Tensor) -> Any:
        calls.append(len(rows))
        return run(rows)

    model._module = counting
    return calls


SIZED_BY_VALUES = [
    *(Boxes, Nonzero, Selected, Leading, Flagged, Cut),
    *(Added, Joined, Keyed, Counted, Ranged, Parted, LargestMask),
]


@pytest.mark.parametrize("module", SIZED_BY_VALUES)
def test_no_caller_gets_the_boxes_of_another(tmp_path: Path, module: type[torch.nn.Module]) -> None:
    """Two boxes and none are as many as there are callers: the sum is right, and each caller's number is wrong."""
    save(module(), tmp_path)
    model = serve(backend, tmp_path, config([put("x", "FP32", -1, 5)], [put("y", "FP32", 5)]))
    for callers in permutations([boxes(0.9, 0.8), boxes(0.1, 0.2), boxes(0.3, 0.4), boxes(0.9, 0.7)]):
        for answer in ask(model, *callers):
            assert answer.error
            assert "rows, but the inputs have 1: with max_batch_size" in answer.error.message


@pytest.mark.parametrize(
    ("module", "words", "size"), [(Chosen, ("long enough", "no"), 1), (Letters, ("a", "abc"), 2)], ids=["if", "letters"]
)
def test_text_is_not_parted_by_position_either(
    tmp_path: Path, module: type[torch.nn.Module], words: tuple[str, ...], size: int
) -> None:
    """Two texts and none, or one and three."""
    save(module(), tmp_path)
    model = serve(backend, tmp_path, config([put("texts", "STRING", 1)], [put("y", "STRING", size)]))
    for answer in ask(model, *([text("texts", [[word]])] for word in words)):
        assert answer.error
        assert f"texts, which do not fill the shape [1, {size}]" in answer.error.message


def test_text_of_any_length_goes_to_its_own_caller(tmp_path: Path) -> None:
    """The config permits any number of texts per row, so each request is computed separately."""
    save(Chosen(), tmp_path)
    model = serve(backend, tmp_path, config([put("texts", "STRING", 1)], [put("y", "STRING", -1)]))
    answers = ask(model, [text("texts", [["long enough"]])], [text("texts", [["no"]])])
    assert [answer.values("y") for answer in answers] == [[["long enough"] * 2], [[]]]


@pytest.mark.parametrize("module", [Turned, Total, Squeezed, HalfRight])
@pytest.mark.parametrize("rows", [(1, 1, 1), (1, 2), (3,), (2, 1), (1,), (1, 1)])
def test_what_is_wrong_alone_is_wrong_in_a_batch(
    tmp_path: Path, module: type[torch.nn.Module], rows: tuple[int, ...]
) -> None:
    """Three numbers and three rows in total: the transposed output has the same shape."""
    save(module(), tmp_path)
    outputs = [put("y", "FP32", 3)] if module is not HalfRight else [put("flags", "BOOL", 3), put("y", "FP32", 3)]
    model = serve(backend, tmp_path, config([put("x", "FP32", 3)], outputs))
    requests = [[numbers("x", [[caller + 0.1 * row] * 3 for row in range(count)])] for caller, count in enumerate(rows)]
    for answer, count in zip(ask(model, *requests), rows, strict=True):
        right_by_chance = (module, count) in {(Turned, 3), (Squeezed, 2), (Squeezed, 3), (HalfRight, 1)}
        assert (answer.error is None) == right_by_chance


@pytest.mark.parametrize("dims", [(3,), (2, 3)])
def test_a_shape_that_contradicts_the_config_is_an_error(tmp_path: Path, dims: tuple[int, ...]) -> None:
    """Three input rows and an output [1, 3], or another number of dimensions: formerly the status was 200."""
    save(Turned(), tmp_path)
    model = serve(backend, tmp_path, config([put("x", "FP32", 1)], [put("y", "FP32", *dims)]))
    (answer,) = ask(model, [numbers("x", [[1], [2], [3]])])
    assert answer.error
    assert answer.error.code == "INTERNAL"


def test_one_number_for_each_row_is_what_reshape_says(tmp_path: Path) -> None:
    """[B] is not [B, 1], unless `reshape` in the config says so."""

    class Sums(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sum(1)

    save(Sums(), tmp_path)
    inputs, sent = [put("x", "FP32", 2)], [numbers("x", [[1, 2], [3, 4]])]
    (answer,) = ask(serve(backend, tmp_path, config(inputs, [put("y", "FP32", 1)])), sent)
    assert answer.error
    assert "output 'y' has shape [2], but config.pbtxt declares [2, 1] for 2 rows" in answer.error.message
    reshaped = put("y", "FP32", 1) | {"reshape": {"shape": []}}
    assert ask(serve(backend, tmp_path, config(inputs, [reshaped])), sent)[0].values("y") == [3, 7]


def test_optional_inputs_may_be_missing_for_some(tmp_path: Path) -> None:
    """Such requests are not batched together; each gets a response."""
    save(Optional(), tmp_path)
    more = put("more", "FP32", 2) | {"optional": True}
    model = serve(backend, tmp_path, config([put("x", "FP32", 2), more], [put("y", "FP32", 2)]))
    answers = ask(model, [numbers("x", [[1, 2]])], [numbers("x", [[1, 2]]), numbers("more", [[1, 1]])])
    assert [answer.values("y") for answer in answers] == [[[1, 2]], [[2, 3]]]


def test_a_table_is_looked_up_for_all_callers_at_once(tmp_path: Path) -> None:
    """Positions are not a mask."""
    save(Looked(), tmp_path)
    model = serve(backend, tmp_path, config([put("x", "INT64", 1)], [put("y", "FP32", 1, 2)]))
    calls = counted(model)
    answers = ask(model, *([numbers("x", [[row]], torch.int64)] for row in (3, 0, 2)))
    assert [answer.values("y") for answer in answers] == [[[[6, 7]]], [[[0, 1]]], [[[4, 5]]]]
    assert calls == [3]


@pytest.mark.parametrize("module", [Attention, Encoder])
def test_attention_is_computed_for_all_callers_at_once(tmp_path: Path, module: type[torch.nn.Module]) -> None:
    """The content of a list may depend on sizes and types, which are equal for all callers."""
    torch.manual_seed(0)
    made = module().eval()
    save(made, tmp_path)
    model = serve(backend, tmp_path, config([put("x", "FP32", 3, 4)], [put("y", "FP32", 3, 4)]))
    calls = counted(model)
    sent = [torch.rand(1, 3, 4) for _ in range(3)]
    answers = ask(model, *([numbers("x", each.tolist())] for each in sent))
    for answer, each in zip(answers, sent, strict=True):
        torch.testing.assert_close(torch.tensor(answer.values("y")), made(each), rtol=1e-4, atol=1e-5)
    assert calls == [3]


def test_a_model_of_unknown_size_is_tried_on_the_first_requests_own_rows(tmp_path: Path) -> None:
    """It rejects zeros of the smallest size, so the first batch shows whether its output can be split."""
    save(torch.nn.Conv1d(1, 1, 3), tmp_path)
    model = serve(backend, tmp_path, config([put("x", "FP32", 1, -1)], [put("y", "FP32", 1, -1)]))
    calls = counted(model)
    for _ in range(2):
        answers = ask(model, *([numbers("x", [[[caller] * 5]])] for caller in (1.0, 2.0, 3.0)))
        assert all(answer.error is None for answer in answers)
    assert calls == [1, 2, 3, 3]


class Padded(torch.nn.Module):
    """Returns its rows unchanged, whatever size the config declares."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give x."""
        return x


def test_a_caller_cannot_turn_the_batching_off_for_others(tmp_path: Path) -> None:
    """Rows of a wrong size are an error each time; rows of the right size are batched before and after."""
    save(Padded(), tmp_path)
    model = serve(backend, tmp_path, config([put("x", "FP32", -1)], [put("y", "FP32", 2)]))
    good = [[numbers("x", [[1, 2]])], [numbers("x", [[3, 4]])]]
    ask(model, *good)
    calls = counted(model)
    assert all(answer.error for answer in ask(model, *([numbers("x", [[1, 2, 3]])] for _ in range(2))))
    del calls[:]
    assert [answer.values("y") for answer in ask(model, *good)] == [[[1, 2]], [[3, 4]]]
    assert calls == [2]
