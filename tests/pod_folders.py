"""The folders of a serving pod in a temporary folder, and a run of `prepare` in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.core_dumps import core_dumps_allowed
from triton_operator.api.conditions import TERMINAL
from triton_operator.api.scan import Scan
from triton_operator.prepare.__main__ import main
from triton_operator.triton.prepare_contract.outcome import LIMIT, MISTAKE, Prepared, PrepareFailed, read_prepare
from triton_operator.triton.prepare_contract.request import (
    KeyFile,
    Preparation,
    PreparationModel,
    SignatureCheck,
    VaultLogin,
    encode,
)
from triton_operator.triton.text.parser import Message, parse

if TYPE_CHECKING:
    from pathlib import Path

    from tests.signers import Signer

CONFIG = 'backend: "pytorch"\ninput { name: "x" data_type: TYPE_FP32 dims: 2 }\n'


@dataclass
class Pod:
    """A pod whose object requests the model `digits`; `root` must exist."""

    root: Path

    def __post_init__(self) -> None:
        self._verification: SignatureCheck | None = None
        self._scan = Scan.WARN
        self._vault: VaultLogin | None = None
        for name in ("source", "models", "config", "verified", "plaintext"):
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
    def plaintext(self) -> Path:
        """The volume in memory for decrypted models."""
        return self.root / "plaintext"

    @property
    def keyset(self) -> Path:
        """The file with the keys of encrypted models; the object names it if it exists at the next `ask`."""
        return self.root / "keyset.json"

    @property
    def vault(self) -> Path:
        """The folder with the token for a vault."""
        return self.root / "vault"

    def ask(self, *models: str | tuple[str, str], source_path: str = "/") -> None:
        """Write the list of models: names, or (name, path)."""
        pairs = [(model, model) if isinstance(model, str) else model for model in models]
        self.ask_for(*(PreparationModel(name, path) for name, path in pairs), source_path=source_path)

    def ask_for(self, *models: PreparationModel, source_path: str = "/") -> None:
        """Write the list of models as the operator renders it."""
        request = Preparation(
            models,
            source_path,
            verification=self._verification,
            decrypts=self.keyset.exists() or self._vault is not None,
            scan=self._scan,
            vault=self._vault,
        )
        (self.root / "config" / "models.json").write_bytes(encode(request))

    def verify_with(self, *signers: Signer, require: bool = True) -> None:
        """Require signatures of these signers, named `release`, `release-2` and so on, from the next `ask` on."""
        names = [f"release-{number}" if number > 1 else "release" for number in range(1, len(signers) + 1)]
        keys = tuple(KeyFile(name, public_key=signer.public_key) for name, signer in zip(names, signers, strict=True))
        self.check_signatures(SignatureCheck(keys, require))

    def refuse_findings(self) -> None:
        """Refuse models in which the scan finds something, from the next `ask` on."""
        self._scan = Scan.REFUSE

    def unwrap_with(self, login: VaultLogin, token: str) -> None:
        """Log in to a vault for the keys of encrypted models, from the next `ask` on."""
        self._vault = login
        self.vault.mkdir(exist_ok=True)
        (self.vault / "token").write_text(token, encoding="ascii")

    def check_signatures(self, check: SignatureCheck) -> None:
        """Check signatures from the next `ask` on."""
        self._verification = check

    def add_config(self, name: str, text: str) -> str:
        """Write a configuration next to the list of models, as in the pod's ConfigMap, and return its name."""
        (self.root / "config" / name).write_text(text, encoding="utf-8")
        return name

    def add(self, folder: str, config: str | None = CONFIG, **files: str | bytes) -> Path:
        """Add a model to the repository; `files` are version="content of model.pt"."""
        path = self.source / folder
        path.mkdir(parents=True, exist_ok=True)
        if config is not None:
            (path / "config.pbtxt").write_text(config, encoding="utf-8")
        for version, content in files.items():
            (path / version.strip("v")).mkdir()
            data = content if isinstance(content, bytes) else content.encode()
            (path / version.strip("v") / "model.pt").write_bytes(data)
        return path

    def arguments(self) -> list[str]:
        """The flags for these folders."""
        places = {
            "config": self.root / "config" / "models.json",
            "source": self.source,
            "models": self.models,
            "verified": self.root / "verified",
            "plaintext": self.plaintext,
            "keyset": self.keyset,
            "vault": self.vault,
            "termination-log": self.root / "termination-log",
        }
        return [f"--{flag}={path}" for flag, path in places.items()]

    def message(self) -> str:
        """The termination message."""
        return (self.root / "termination-log").read_text(encoding="utf-8")

    def prepare(self) -> Prepared | PrepareFailed:
        """Run `prepare`, and check that the exit code matches the outcome."""
        with core_dumps_allowed():  # `main` forbids them, and the limit of the tests' process must stay.
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

    def served(self) -> Message:
        """Run it, expect success, and return Triton's configuration of `digits`."""
        outcome = self.prepare()
        assert isinstance(outcome, Prepared), outcome
        return parse((self.models / "digits" / "config.pbtxt").read_text(encoding="utf-8"))

    def versions(self) -> tuple[str, ...]:
        """Run it, expect success, and return the versions of the first model."""
        outcome = self.prepare()
        assert isinstance(outcome, Prepared), outcome
        return outcome.models[0].versions
