"""Configurations that Triton 24.10 rejected or loaded, compared with the rules that predict it.

`triton_verdicts.json` was recorded from the server, started without auto-complete on one repository of models of its
Python backend: `c_` are single configurations, `e_` ensembles, and the others the steps of ensembles. Seventeen
results, for states and warm-ups whose loading can crash this release, come from its sources instead. Three
others, `c_tagbad`, `c_tagunder` and `c_labeldir`, ended the server with all its models. Results that depend on a GPU or
on another server are not included.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from triton_operator.cli.lint.folder import check_folder

VERDICTS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("triton_verdicts.json").read_text())


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with all configurations."""
    root = tmp_path_factory.mktemp("repository")
    for name, verdict in VERDICTS.items():
        (root / name / "1").mkdir(parents=True)
        (root / name / "config.pbtxt").write_text(verdict["config"])
        if not name.startswith("e_"):
            (root / name / "1" / "model.py").touch()
    return root


@pytest.mark.parametrize("name", VERDICTS)
def test_lint_rejects_exactly_what_triton_rejects(repository: Path, name: str) -> None:
    errors = [finding for finding in check_folder(repository / name) if finding.severity == "error"]
    assert bool(errors) == VERDICTS[name]["refused"], errors
    assert all(finding.place or finding.message for finding in errors)


@pytest.mark.parametrize(
    ("name", "place", "words"),
    [
        ("e_batch", "ensemble_scheduling.step[0].model_name", "s4 accepts batches of at most 4, but the ensemble's"),
        ("e_between", "step[1].input_map[A]", '"M" is FP32 [-1,4] in s, but FP32 [-1,5] in s5'),
        ("e_outtype", "step[0].output_map[B]", '"Y" is INT64 [-1,4] in e_outtype, but FP32 [-1,4] in s'),
        ("e_noinput", "step[0].input_map[Z]", 's has no input "Z"; it has A'),
        ("e_unmapped", "step[0].input_map", "s2 also requires C"),
        ("e_missing", "step[0].model_name", 'the repository has no model "gone"'),
        ("e_version", "step[0].model_version", "version 3 of s is not served; served: 1"),
        ("e_cyc1", "ensemble_scheduling.step", "in a cycle: e_cyc1 -> e_cyc2 -> e_cyc1"),
        ("c_corrbad", "sequence_batching.control_input[0].control.data_type", "must be one of INT32, INT64, STRING"),
        ("c_statediff", "sequence_batching.state[0].initial_state.dims", "[3] does not match the state's [2]"),
        ("c_w9", "model_warmup[0].batch_size", "9 is greater than max_batch_size, 8"),
        ("c_bisrc", "batch_input[0].source_input", 'the model has no input "Z"'),
        ("c_prioq3", "dynamic_batching.priority_queue_policy[3]", "the level must be from 1 to 2"),
    ],
)
def test_a_problem_names_the_field_and_the_error(repository: Path, name: str, place: str, words: str) -> None:
    matching = [finding for finding in check_folder(repository / name) if words in finding.message]
    assert [finding.place[-len(place) :] for finding in matching] == [place], list(check_folder(repository / name))
