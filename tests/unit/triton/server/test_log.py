"""What Triton 2.51 printed with `--log-info=false` for each kind of failure, and what a person should read of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triton_operator.api.conditions import Reason
from triton_operator.triton.server.log import LAST_LINES, LoadFailure, ServerFailure, last_lines, read_server


def error(sentence: str, source: str = "model_lifecycle.cc:642") -> str:
    """A line as Triton writes errors: the sentence as a JSON string behind the header."""
    return f"E1122 10:34:27.715872 7 {source}] {json.dumps(sentence)}\n"


NOISE = error("CudaDriverHelper has not been initialized.", "server.cc:241")
ALL_FAILED = "error: creating server: Internal - failed to load all models\n"
UNKNOWN_BACKEND = (  # Letter for letter, the rest is made by `error`.
    "E1122 10:34:27.715872 7 model_lifecycle.cc:642] \"failed to load 'bad' version 1: Invalid argument: "
    "unable to find backend library for backend 'nosuch', try specifying runtime on the model configuration.\"\n"
)
STACK = (
    "\n\nAt:\n  /models/bad/1/model.py(1): <module>\n  <frozen importlib._bootstrap>(241): _call_with_frames_removed\n"
)
PYTHON_ERROR = error(
    f'ERROR: Failed to create instance: ValueError: boom: "quoted"\nsecond line{STACK}', "backend_model.cc:692"
) + error(f"failed to load 'bad' version 1: Internal: ValueError: boom: \"quoted\"\nsecond line{STACK}")
USAGE = (
    "If not specified, the\n\tlimit will not be set.\n\nDEPRECATED:\n  --trace-file <string>\n"
    "\tDEPRECATED: Please use --trace-config\n\ttriton,file=<path> Set the file\n  --trace-level <string>\n"
    "\tDEPRECATED: Please use --trace-config\n\tDefault is 0.\n\n"
)
NO_VERSION = "at least one version must be available under the version policy of model 'bad'"
BAD_SIZE = "'max_batch_size' must be non-negative value for bad"
BAD_ZIP = "PytorchStreamReader failed reading zip archive"
TORCH_STACK = "\nException raised from valid at inline_container.cc:200 (most recent call first):\nframe #0: c10::Error"
TRACEBACK = 'Traceback (most recent call last):\n  File "/x.py", line 1\nValueError: why'
IN_USE = "failed to start HTTP service: Unavailable - Socket '0.0.0.0:8000' already in use"
KILLED = "process of model 'digits' died: signal 9 (killed, possibly out of memory)"


def test_each_refused_model_with_tritons_sentence() -> None:
    """Two models, two failures in the log's order; the general sentence adds nothing."""
    text = NOISE + UNKNOWN_BACKEND + UNKNOWN_BACKEND.replace("'bad' version 1", "'worse' version 2") + ALL_FAILED
    sentence = (
        "Invalid argument: unable to find backend library for backend 'nosuch', "
        "try specifying runtime on the model configuration."
    )
    assert read_server(text) == [
        LoadFailure("bad", "1", sentence, Reason.UNSUPPORTED_BY_IMAGE),
        LoadFailure("worse", "2", sentence, Reason.UNSUPPORTED_BY_IMAGE),
    ]


def test_a_model_code_error_without_its_stack() -> None:
    """Escapes are undone, lines joined, the stack left out."""
    expected = [LoadFailure("bad", "1", 'Internal: ValueError: boom: "quoted" second line')]
    assert read_server(NOISE + PYTHON_ERROR + ALL_FAILED) == expected


def test_a_config_error_with_its_place() -> None:
    """Protobuf says where, Triton says in which model."""
    text = (
        "[libprotobuf ERROR /tmp/build/text_format.cc:337] Error parsing text-format inference.ModelConfig: 1:23: "
        'Message type "inference.ModelConfig" has no field named "nam".\n'
    ) + error("Poll failed for model directory 'bad': failed to read text proto from /models/bad/config.pbtxt")
    message = (
        "failed to read text proto from /models/bad/config.pbtxt: "
        'line 1, column 23: Message type "inference.ModelConfig" has no field named "nam".'
    )
    assert read_server(text + ALL_FAILED) == [LoadFailure("bad", "", message, Reason.CONFIG_INVALID)]


def test_a_field_that_came_later_is_told_with_its_release() -> None:
    text = (
        "[libprotobuf ERROR /tmp/build/text_format.cc:337] Error parsing text-format inference.ModelConfig: 5:15: "
        'Message type "inference.ModelConfig" has no field named "model_metrics".\n'
    ) + error("Poll failed for model directory 'bad': failed to read text proto from /models/bad/config.pbtxt")
    (failure,) = read_server(text + ALL_FAILED)
    assert failure.message.endswith('no field named "model_metrics". The field requires Triton 24.11 or newer')


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            error(f"failed to load model 'bad': {NO_VERSION}"),
            LoadFailure("bad", "", NO_VERSION, Reason.MODEL_VERSION_NOT_FOUND),
        ),
        (
            error(f"Poll failed for model directory 'bad': {BAD_SIZE}"),
            LoadFailure("bad", "", BAD_SIZE, Reason.CONFIG_INVALID),
        ),
        (
            "2026-11-22T10:34:29Z E 7 model_lifecycle.cc:642] \"failed to load 'bad' version 12: Internal: no\"",
            LoadFailure("bad", "12", "Internal: no"),
        ),
        (
            "E1122 10:34:29.878189 7 model_lifecycle.cc:642] failed to load 'bad' version 1: Internal: in old servers",
            LoadFailure("bad", "1", "Internal: in old servers"),
        ),
        (
            error(f"failed to load 'm' version 1: Internal: {BAD_ZIP}{TORCH_STACK}"),
            LoadFailure("m", "1", f"Internal: {BAD_ZIP}"),
        ),
        (
            error(f"failed to load 'm' version 1: Internal: {TRACEBACK}"),
            LoadFailure("m", "1", "Internal: ValueError: why"),
        ),
        (
            "model process of 'digits' died: signal 9 (killed, possibly out of memory)",
            ServerFailure(f"the {KILLED}", "digits"),
        ),
        (error(f"{IN_USE} ", "main.cc:257"), ServerFailure(IN_USE)),
        (
            "error: creating server: Internal - failed to stat file /models",
            ServerFailure("creating server: Internal - failed to stat file /models"),
        ),
        ("Signal (11) received.\n 0# 0x0000", ServerFailure("Triton crashed with signal 11")),
    ],
)
def test_sentences(line: str, expected: LoadFailure | ServerFailure) -> None:
    """One kind of line each, after the noise of every start without a GPU."""
    assert read_server(NOISE + line) == [expected]


def test_a_killed_model_process_comes_before_the_load_that_fails_with_it() -> None:
    """The cause first; but a process that only exited is the consequence of its own error."""
    killed = read_server(UNKNOWN_BACKEND + "model process of 'bad' died: signal 9\n" + ALL_FAILED)
    assert [type(failure) for failure in killed] == [ServerFailure, LoadFailure]
    ended = read_server("model process of 'bad' died: exit code 1\n" + UNKNOWN_BACKEND + ALL_FAILED)
    assert [type(failure) for failure in ended] == [LoadFailure, ServerFailure]


def test_flags_that_the_server_does_not_take() -> None:
    """The value's error is at the end of the usage, an unknown flag only in front of it and usually cut off."""
    bad_value = USAGE + "Bad option: \"--http-restricted-api\".\nunknown restricted api 'foo' \n\n"
    expected = "Triton rejects its arguments: Bad option: \"--http-restricted-api\". unknown restricted api 'foo'"
    assert read_server(bad_value) == [ServerFailure(expected, reason=Reason.SERVER_ARGUMENT_INVALID)]
    (named,) = read_server(
        "tritonserver: unrecognized option '--nonsense=true'\nUsage: tritonserver [options]\n" + USAGE
    )
    assert named.message == "this Triton release does not support the argument --nonsense=true"
    (cut,) = read_server(USAGE)
    assert "does not support one of its arguments" in cut.message
    assert {named.reason, cut.reason} == {Reason.SERVER_ARGUMENT_INVALID}


WRONG_SHAPE = (
    "[request id: <id_unknown>] unexpected shape for input 'INPUT__0' for model 'm'. Expected [-1,2], got [1,7]."
)
WARMUP_ERROR = "the model failed: mat1 and mat2 shapes cannot be multiplied (1x3 and 2x1)"
TOLD_BY_THE_BACKEND = f"warm-up of model 'm' version 1 failed: {WARMUP_ERROR} (sent INPUT__0 [1, 3] float32)\n"


@pytest.mark.parametrize(
    ("lines", "version", "message"),
    [
        (
            error(
                f"failed to load 'm' version 1: Invalid argument: failed to run warmup sample 'zeros': {WARMUP_ERROR}; "
            ),
            "1",
            f"Invalid argument: failed to run warmup sample 'zeros': {WARMUP_ERROR};",
        ),
        (
            error(f"failed to load 'm' version 1: Invalid argument: {WRONG_SHAPE}"),
            "1",
            f"Invalid argument: {WRONG_SHAPE}",
        ),
        (
            error(
                "failed to load 'm' version 1: Internal: failed to open text file for read /models/m/warmup/nope: No"
            ),
            "1",
            "Internal: failed to open text file for read /models/m/warmup/nope: No",
        ),
        (TOLD_BY_THE_BACKEND, "1", f"warm-up failed: {WARMUP_ERROR} (sent INPUT__0 [1, 3] float32)"),
        (
            TOLD_BY_THE_BACKEND
            + error(
                f"failed to load 'm' version 1: Invalid argument: failed to run warmup sample 'zeros': {WARMUP_ERROR}; "
            ),
            "1",
            f"warm-up failed: {WARMUP_ERROR} (sent INPUT__0 [1, 3] float32)",
        ),
        (
            TOLD_BY_THE_BACKEND
            + error(f"failed to load 'm' version 1: Internal: TritonModelException: {TOLD_BY_THE_BACKEND.strip()}"),
            "1",
            f"warm-up failed: {WARMUP_ERROR} (sent INPUT__0 [1, 3] float32)",
        ),
    ],
    ids=["by Triton", "a shape that Triton refuses", "a file", "before a crash", "by both", "while it was loaded"],
)
def test_a_failed_warm_up(lines: str, version: str, message: str) -> None:
    """However far Triton came with it; what the backend says has the shapes."""
    assert read_server(NOISE + lines + ALL_FAILED) == [LoadFailure("m", version, message, Reason.WARMUP_FAILED)]


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ("\n\nInvalid option value. Got abc\n\n\n", "Invalid option value. Got abc"),
        ("\n\nUnexpected argument: extra\n", "Unexpected argument: extra"),
        (
            "\n\nError: Use of '--load-model' requires setting '--model-control-mode=explicit' as well.\n",
            "Error: Use of '--load-model' requires setting '--model-control-mode=explicit' as well.",
        ),
    ],
)
def test_arguments_that_the_server_refuses_by_their_value(after: str, told: str) -> None:
    """As 2.51 prints them: its whole usage first, then the one line that helps."""
    expected = ServerFailure(f"Triton rejects its arguments: {told}", reason=Reason.SERVER_ARGUMENT_INVALID)
    assert read_server(USAGE.rstrip() + after) == [expected]


def test_reasons_that_were_cut_off_are_looked_for_in_the_log() -> None:
    """Better than silence."""
    (failure,) = read_server("model.py(1): <module>\\n  <frozen>\n" + ALL_FAILED)
    assert failure.message == "failed to load all models; see the server's log for the reasons"


# Letter for letter what 2.51 printed of these ensembles; `s` and the like are their steps.
SHAPES = (
    "ensemble tensor X: inconsistent shape: [-1,4] is inferred from model shape while [-1,5] is inferred from model s5"
)
TYPES = "inconsistent data type: TYPE_INT64 is inferred from model type while TYPE_FP32 is inferred from model s"
CONTRADICTIONS = {
    "batch": (
        "ensemble batch allows maximum batch size 8, "
        "but it contains model s4 which only allows maximum batch size to be 4"
    ),
    "shape": f"in ensemble shape, {SHAPES}",
    "type": f"in ensemble type, ensemble tensor Y: {TYPES}",
    "noinput": "in ensemble noinput, ensemble tensor X is mapping to non-existing input Z in model s",
    "nooutput": "in ensemble nooutput, ensemble tensor Y is mapped from non-existing output Z in model s",
    "unmapped": "in ensemble unmapped, input C in model s2 is not mapped to any ensemble tensors",
    "missing": "ensemble missing contains models that are not available or ambiguous: gone",
    "one": "circular dependency between ensembles: one -> ... -> two -> one",
    "itself": "circular dependency between ensembles: itself -> ... -> itself -> itself",
}
ABSENT_VERSION = "ensemble 'version' depends on 's' whose required version 3 is not loaded."
BAD_STEP = (
    f"ensemble 'on' depends on 'shape' which is not valid. Model 'shape' failed with error: {CONTRADICTIONS['shape']}"
)
GRAPH = [
    *((model, sentence, Reason.CONFIG_INVALID) for model, sentence in CONTRADICTIONS.items()),
    ("version", ABSENT_VERSION, Reason.MODEL_VERSION_NOT_FOUND),
    ("on", BAD_STEP, Reason.MODEL_LOAD_FAILED),
]


@pytest.mark.parametrize(("model", "sentence", "reason"), GRAPH)
def test_why_an_ensemble_does_not_fit_its_steps(model: str, sentence: str, reason: str) -> None:
    """The sentence names step, tensor, shape or version; the ensemble is named only within it."""
    line = error(f"Invalid argument: {sentence}", "model_repository_manager.cc:703")
    assert read_server(NOISE + line + ALL_FAILED) == [LoadFailure(model, "", sentence, reason)]


def test_a_step_that_fails_comes_before_the_ensemble_that_needs_it() -> None:
    """The graph's sentence may be printed first, but it is the consequence."""
    missing = error(f"Invalid argument: {CONTRADICTIONS['missing']}", "model_repository_manager.cc:703")
    found = read_server(NOISE + missing + UNKNOWN_BACKEND + ALL_FAILED)
    assert [failure.model for failure in found] == ["bad", "missing"]


def test_an_orderly_end_is_no_crash() -> None:
    """SIGTERM is how pods end."""
    assert read_server("Signal (15) received.\n") == []
    assert read_server(UNKNOWN_BACKEND + "Signal (15) received.\n")[1:] == []


def test_nothing_says_nothing() -> None:
    """An empty message has no failure in it."""
    assert read_server("") == []
    assert read_server("\n \n") == []
    assert last_lines("\n \n") == ""


def test_of_what_nobody_knows_the_last_lines_are_shown() -> None:
    """Without headers and empty lines, as one."""
    text = "".join(f"line {number}\n\n" for number in range(9)) + error("the end \nof it")
    assert read_server(text) == []
    assert last_lines(text) == " / ".join([*(f"line {n}" for n in range(10 - LAST_LINES, 9)), "the end of it"])


@settings(deadline=None)
@given(st.integers(0, 3000), st.text(st.characters(), max_size=50))
def test_a_log_cut_anywhere_is_read(cut: int, noise: str) -> None:
    """Never an error, never a message that floods a condition."""
    text = (NOISE + PYTHON_ERROR + "failed to load 'x' version 1: " + "y" * 900 + "\n" + noise + ALL_FAILED)[cut:]
    for failure in read_server(text):
        assert 0 < len(failure.message) <= 700
        assert "\n" not in failure.message
