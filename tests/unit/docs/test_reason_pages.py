"""The pages of docs/reasons: one for each reason for a failure, with the output of the current code."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from tests.kubectl_table import get_md
from tests.reason_pages import FOLDER, OF_OTHER_CONDITIONS, is_tried_again, output, shown_by, world_with
from tests.reason_states import STATES
from triton_operator.api.conditions import Reason

NO_FAILURE = {
    Reason.SERVING,
    Reason.ACCEPTED,
    Reason.PREPARED,
    Reason.LOADED,
    Reason.SCHEDULED,
    Reason.WAITING,
    Reason.AVAILABLE,
    Reason.UNAVAILABLE,
    Reason.REPLACING_IN_PLACE,
    Reason.PROGRESSING,
    Reason.SETTLED,
    Reason.SCALING,
    Reason.EXPOSED,
    Reason.SCALING_NOT_READY,
    Reason.PATCHED,
    Reason.ENFORCED,
}
"""What Ready, Accepted, PrivacyEnforced and RuntimeVulnerable never have as the answer that one does not want."""

HEADINGS = ["What it means", "How it looks", "What to do"]
ALL = sorted(FOLDER.glob("*.md"))


def test_each_reason_that_something_is_wrong_has_a_page_and_a_state() -> None:
    reasons = {value for name, value in vars(Reason).items() if name.isupper()}
    assert {page.stem for page in ALL} == reasons - NO_FAILURE
    assert set(STATES) == reasons - NO_FAILURE


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.stem)
def test_all_pages_are_built_alike(page: Path) -> None:
    text = page.read_text()
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"^# (.+)$", prose, re.MULTILINE) == [page.stem]
    assert re.findall(r"^## (.+)$", prose, re.MULTILINE) == HEADINGS
    assert text.index("## How it looks") < text.index("```console") < text.index("## What to do")
    assert len(text.splitlines()) <= 70, "a page is read by somebody in a hurry"


@pytest.mark.parametrize("reason", sorted(STATES))
async def test_a_page_shows_what_the_code_says(reason: str) -> None:
    """After an intended change of a message, run `make docs` and review the difference."""
    world = await world_with(reason)
    condition = world.condition(OF_OTHER_CONDITIONS.get(reason, "Ready"))
    assert condition.reason == reason
    assert shown_by(FOLDER / f"{reason}.md") == output(reason, world), "if that is meant, `make docs`"


@pytest.mark.parametrize("reason", sorted(set(STATES) - set(OF_OTHER_CONDITIONS)))
async def test_a_page_says_whether_the_operator_retries(reason: str) -> None:
    """As the conditions Reconciling and Stalled do."""
    (message,) = re.findall(
        r"^\*\*Recovers automatically:\*\* (yes|no)\b", (FOLDER / f"{reason}.md").read_text(), re.MULTILINE
    )
    assert message == ("yes" if is_tried_again(await world_with(reason)) else "no")


def test_a_table_is_laid_out_as_kubectl_does_it() -> None:
    """Recorded on a real cluster; a missing value is `<none>`."""
    ready = {"type": "Ready", "status": "True", "reason": "Serving"}
    body = {"metadata": {"name": "good"}, "status": {"conditions": [ready], "replicas": 1}}
    assert get_md(body, age=timedelta(seconds=77)).splitlines() == [
        "NAME   READY   REASON    REPLICAS   SERVING   AGE",
        "good   True    Serving   1          <none>    77s",
    ]
