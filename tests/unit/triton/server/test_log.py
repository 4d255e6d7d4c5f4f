"""Output of Triton 2.51 with `--log-info=false` for each kind of failure, and the failures that are derived from it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triton_operator.api.conditions import Reason
from triton_operator.triton.server.log import LAST_LINES, LoadFailure, ServerFailure, last_lines, read_server


def error(sentence: str, source: str = "model_lifecycle.cc:642") -> str:
    """A line as Triton writes errors: a header, followed by the message as a JSON string."""
    return f"E1122 10:34:27.715872 7 {source}] {json.dumps(sentence)}\n"


NOISE = error("CudaDriverHelper has not been initialized.", "server.cc:241")
ALL_FAILED = "error: creating server: Internal - failed to load all models\n"
UNKNOWN_BACKEND = (  # Verbatim; `error` builds the other lines.
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


def test_each_failed_model_has_tritons_message() -> None:
    """Two models give two failures in the order of the log; the general message is ignored."""
    text = NOISE + UNKNOWN_BACKEND + UNKNOWN_BACKEND.replace("'bad' version 1", "'worse' version 2") + ALL_FAILED
    sentence = (
        "Invalid argument: unable to find backend library for backend 'nosuch', "
        "try specifying runtime on the model configuration."
    )
    assert read_server(text) == [
        LoadFailure("bad", "1", sentence, Reason.UNSUPPORTED_BY_IMAGE),
        LoadFailure("worse", "2", sentence, Reason.UNSUPPORTED_BY_IMAGE),
    ]


def test_an_error_in_model_code_has_no_stack_trace() -> None:
    """Escapes are decoded, lines are joined, and the stack trace is omitted."""
    expected = [LoadFailure("bad", "1", 'Internal: ValueError: boom: "quoted" second line')]
    assert read_server(NOISE + PYTHON_ERROR + ALL_FAILED) == expected


def test_a_config_error_has_its_position() -> None:
    """Protobuf reports the position, and Triton the model."""
    text = (
        "[libprotobuf ERROR /tmp/build/text_format.cc:337] Error parsing text-format inference.ModelConfig: 1:23: "
        'Message type "inference.ModelConfig" has no field named "nam".\n'
    ) + error("Poll failed for model directory 'bad': failed to read text proto from /models/bad/config.pbtxt")
    message = (
        "failed to read text proto from /models/bad/config.pbtxt: "
        'line 1, column 23: Message type "inference.ModelConfig" has no field named "nam".'
    )
    assert read_server(text + ALL_FAILED) == [LoadFailure("bad", "", message, Reason.CONFIG_INVALID)]


def test_an_unsupported_field_is_reported_with_its_first_release() -> None:
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
def test_each_kind_of_message_is_recognised(line: str, expected: LoadFailure | ServerFailure) -> None:
    """After the lines that every start without a GPU prints."""
    assert read_server(NOISE + line) == [expected]


def test_a_killed_model_process_comes_before_the_load_that_fails_with_it() -> None:
    """The kill is the cause; a process that only exited has reported its own error."""
    killed = read_server(UNKNOWN_BACKEND + "model process of 'bad' died: signal 9\n" + ALL_FAILED)
    assert [type(failure) for failure in killed] == [ServerFailure, LoadFailure]
    ended = read_server("model process of 'bad' died: exit code 1\n" + UNKNOWN_BACKEND + ALL_FAILED)
    assert [type(failure) for failure in ended] == [LoadFailure, ServerFailure]


def test_arguments_that_the_server_does_not_support_are_recognised() -> None:
    """An invalid value is reported after the usage message; an unknown flag before it, so it is usually truncated."""
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
REPORT_OF_THE_BACKEND = f"warm-up of model 'm' version 1 failed: {WARMUP_ERROR} (sent INPUT__0 [1, 3] float32)\n"


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
        (REPORT_OF_THE_BACKEND, "1", f"warm-up failed: {WARMUP_ERROR} (sent INPUT__0 [1, 3] float32)"),
        (
            REPORT_OF_THE_BACKEND
            + error(
                f"failed to load 'm' version 1: Invalid argument: failed to run warmup sample 'zeros': {WARMUP_ERROR}; "
            ),
            "1",
            f"warm-up failed: {WARMUP_ERROR} (sent INPUT__0 [1, 3] float32)",
        ),
        (
            REPORT_OF_THE_BACKEND
            + error(f"failed to load 'm' version 1: Internal: TritonModelException: {REPORT_OF_THE_BACKEND.strip()}"),
            "1",
            f"warm-up failed: {WARMUP_ERROR} (sent INPUT__0 [1, 3] float32)",
        ),
    ],
    ids=["by Triton", "a shape that Triton refuses", "a file", "before a crash", "by both", "while it was loaded"],
)
def test_a_failed_warm_up_has_its_own_reason(lines: str, version: str, message: str) -> None:
    """At any stage of the start; the backend's message contains the shapes."""
    assert read_server(NOISE + lines + ALL_FAILED) == [LoadFailure("m", version, message, Reason.WARMUP_FAILED)]


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ("\n\nInvalid option value. Got abc\n\n\n", "Invalid option value. Got abc"),
        ("\n\nUnexpected argument: extra\n", "Unexpected argument: extra"),
        (
            "\n\nError: Use of '--load-model' requires setting '--model-control-mode=explicit' as well.\n",
            "Error: Use of '--load-model' requires setting '--model-control-mode=explicit' as well.",
        ),
    ],
)
def test_an_argument_with_an_invalid_value_is_recognised(after: str, message: str) -> None:
    """As 2.51 prints it: the usage message, and then the line with the error."""
    expected = ServerFailure(f"Triton rejects its arguments: {message}", reason=Reason.SERVER_ARGUMENT_INVALID)
    assert read_server(USAGE.rstrip() + after) == [expected]


def test_a_truncated_log_refers_to_the_full_log() -> None:
    """The reasons are in the part that was truncated."""
    (failure,) = read_server("model.py(1): <module>\\n  <frozen>\n" + ALL_FAILED)
    assert failure.message == "failed to load all models; see the server's log for the reasons"


# Verbatim output of 2.51 for these ensembles; `s` and similar names are their steps.
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
def test_an_ensemble_that_does_not_match_its_steps_has_tritons_message(model: str, sentence: str, reason: str) -> None:
    """The message names the step, tensor, shape or version; only the message contains the ensemble's name."""
    line = error(f"Invalid argument: {sentence}", "model_repository_manager.cc:703")
    assert read_server(NOISE + line + ALL_FAILED) == [LoadFailure(model, "", sentence, reason)]


def test_a_failed_step_comes_before_the_ensemble_that_uses_it() -> None:
    """Triton may print the ensemble's message first, but it is the consequence."""
    missing = error(f"Invalid argument: {CONTRADICTIONS['missing']}", "model_repository_manager.cc:703")
    failures = read_server(NOISE + missing + UNKNOWN_BACKEND + ALL_FAILED)
    assert [failure.model for failure in failures] == ["bad", "missing"]


def test_a_graceful_termination_is_not_a_crash() -> None:
    """The kubelet stops pods with SIGTERM."""
    assert read_server("Signal (15) received.\n") == []
    assert read_server(UNKNOWN_BACKEND + "Signal (15) received.\n")[1:] == []


def test_an_empty_log_has_no_failures() -> None:
    """Neither has an empty termination message."""
    assert read_server("") == []
    assert read_server("\n \n") == []
    assert last_lines("\n \n") == ""


def test_the_last_lines_of_an_unrecognised_log_are_shown() -> None:
    """Without headers and empty lines, joined into one."""
    text = "".join(f"line {number}\n\n" for number in range(9)) + error("the end \nof it")
    assert read_server(text) == []
    assert last_lines(text) == " / ".join([*(f"line {n}" for n in range(10 - LAST_LINES, 9)), "the end of it"])


@settings(deadline=None)
@given(st.integers(0, 3000), st.text(st.characters(), max_size=50))
def test_a_log_that_is_truncated_anywhere_is_read(cut: int, noise: str) -> None:
    """Without an exception, and with messages of limited length."""
    text = (NOISE + PYTHON_ERROR + "failed to load 'x' version 1: " + "y" * 900 + "\n" + noise + ALL_FAILED)[cut:]
    for failure in read_server(text):
        assert 0 < len(failure.message) <= 700
        assert "\n" not in failure.message
