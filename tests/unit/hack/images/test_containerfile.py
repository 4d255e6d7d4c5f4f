"""The Containerfile reader: the supported instructions, and errors with file and line for all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack.images.containerfile import Copy, ImageSettings, Mount, Run, parse
from hack.images.failures import ImageError
from tests.paths import ROOT

EXAMPLE = """\
# a comment
ARG BASE=docker.io/library/debian:bookworm-slim
FROM ${BASE}
ENV A=1 \\
    # a comment between continued lines
    B="two words"
COPY --from=packages a b /opt/
WORKDIR /srv
RUN --mount=type=bind,from=wheels,target=/w --mount=type=bind,source=x.py,target=/x.py ["python3", "-m", "x"]
USER 1000:1000
EXPOSE 8000 5353/udp
ENTRYPOINT ["serve"]
CMD ["--now"]
"""


def test_every_instruction_is_read_with_the_settings_in_force() -> None:
    """A RUN uses the environment and the folder set before it, but not a user set after it."""
    recipe = parse(EXAMPLE)
    env = ("A=1", "B=two words")
    assert recipe.base == "docker.io/library/debian:bookworm-slim"
    assert [step.action for step in recipe.steps] == [
        Copy("packages", ("a", "b"), "/opt/"),
        Run(("python3", "-m", "x"), (Mount("wheels", ".", "/w"), Mount("", "x.py", "/x.py"))),
    ]
    assert [step.settings for step in recipe.steps] == [ImageSettings(env), ImageSettings(env, "/srv")]
    assert recipe.settings == ImageSettings(env, "/srv", "1000:1000", ("serve",), ("--now",), ("8000", "5353/udp"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("RUN apt-get update", "JSON list"),
        ('RUN --mount=type=cache,target=/x ["a"]', "type=bind"),
        ("COPY --chown=1 a /b", "--chown"),
        ("COPY a b", "absolute target"),
        ("ADD a /b", "ADD is not supported"),
        ("FROM other", "FROM is not supported"),
        ("ENV A", "KEY=VALUE"),
    ],
)
def test_an_unsupported_instruction_is_rejected_with_its_line(line: str, words: str) -> None:
    """Without it, the image would differ from docker's."""
    with pytest.raises(ImageError, match=r"Some/File, line 3: .*" + words):
        parse(f"FROM scratch\n\n{line}\n", "Some/File")


def test_a_file_without_a_base_is_refused() -> None:
    """An empty file is an error."""
    with pytest.raises(ImageError, match="has no FROM"):
        parse("# nothing\n")


OURS = [*ROOT.glob("hack/images/*/Containerfile"), *ROOT.glob("*/Containerfile"), *ROOT.glob("*/Dockerfile")]


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.parent.name)
def test_our_own_files_are_understood_and_do_not_run_as_root(path: Path) -> None:
    """Each sets a user other than root, except the model container, which never runs."""
    settings = parse(path.read_text(), str(path)).settings
    assert (settings.user or "model_repository").split(":")[0] in {"1000", "65532", "65535", path.parent.name}
