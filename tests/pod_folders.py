"""The folders of a serving pod in a temporary place, and one run of `prepare` in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from triton_operator.api.conditions import TERMINAL
from triton_operator.prepare.__main__ import main
from triton_operator.triton.outcome import LIMIT, MISTAKE, Prepared, PrepareFailed, read_prepare
from triton_operator.triton.preparation import Preparation, PreparationModel, encode

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = 'backend: "pytorch"\ninput { name: "x" data_type: TYPE_FP32 dims: 2 }\n'


@dataclass
class Pod:
    """A pod whose object asks for the model `digits`; `root` must exist."""

    root: Path

    def __post_init__(self) -> None:
        for name in ("source", "models", "key", "config"):
            (self.root / name).mkdir()
        self.ask("digits")

    @property
    def source(self) -> Path:
        """The mounted repository."""
        return self.root / "source"

    @property
    def models(self) -> Path:
        """The folder that Triton reads."""
        return self.root / "models"

    @property
    def key_file(self) -> Path:
        """The environment file with the admin key."""
        return self.root / "key" / "admin.env"

    def ask(self, *models: str | tuple[str, str], source_path: str = "/") -> None:
        """Write the list of models: names, or (name, path)."""
        pairs = [(model, model) if isinstance(model, str) else model for model in models]
        wanted = Preparation(tuple(PreparationModel(name, path) for name, path in pairs), source_path)
        (self.root / "config" / "models.json").write_bytes(encode(wanted))

    def add(self, folder: str, config: str | None = CONFIG, **files: str) -> Path:
        """Put a model into the repository; `files` are version="text of model.pt"."""
        path = self.source / folder
        path.mkdir(parents=True, exist_ok=True)
        if config is not None:
            (path / "config.pbtxt").write_text(config, encoding="utf-8")
        for version, text in files.items():
            (path / version.strip("v")).mkdir()
            (path / version.strip("v") / "model.pt").write_text(text, encoding="utf-8")
        return path

    def arguments(self) -> list[str]:
        """Flags that point at these folders."""
        places = {
            "config": self.root / "config" / "models.json",
            "source": self.source,
            "models": self.models,
            "key-file": self.key_file,
            "termination-log": self.root / "termination-log",
        }
        return [f"--{flag}={path}" for flag, path in places.items()]

    def message(self) -> str:
        """The termination message."""
        return (self.root / "termination-log").read_text(encoding="utf-8")

    def prepare(self) -> Prepared | PrepareFailed:
        """Run it; the exit code must agree with the outcome."""
        code = main(self.arguments())
        assert len(self.message().encode()) <= LIMIT
        outcome = read_prepare(self.message())
        assert outcome is not None
        assert code == (0 if isinstance(outcome, Prepared) else MISTAKE if outcome.reason in TERMINAL else 1)
        return outcome

    def failure(self) -> PrepareFailed:
        """Run it and expect a failure."""
        outcome = self.prepare()
        assert isinstance(outcome, PrepareFailed), outcome
        return outcome

    def versions(self) -> tuple[str, ...]:
        """Run it and expect success: versions of the first model."""
        outcome = self.prepare()
        assert isinstance(outcome, Prepared), outcome
        return outcome.models[0].versions
