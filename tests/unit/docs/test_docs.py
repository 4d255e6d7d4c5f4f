"""The documentation stays correct: the things that it names exist, and what it shows is run by a test.

Covers paths, links, `make` targets and command lines of README.md, docs/ and CONTRIBUTING.md. Their Python is run here;
their YAML is an example, or can be rendered.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.fake_cluster import FakeCluster
from tests.inference_server import Backend, Model, grpc_server, http_server
from tests.paths import ROOT
from tests.tritonctl import tritonctl
from triton_operator.api import conditions
from triton_operator.api.conditions import Reason
from triton_operator.api.status import ControlName

GENERATED = ROOT / "docs" / "api-reference.md"
"""Compared with the schema by its own test; patterns in it look like paths and links."""
WRITTEN = sorted(set((ROOT / "docs").rglob("*.md")) - {GENERATED})
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *WRITTEN]
GUIDE = ROOT / "docs" / "guide.md"

SHOWN_BY = {
    "make demo": ("tests/e2e/test_demo.py", '"make", "demo"'),
    "make test": (".ci/run", "make test"),
    "kubectl wait --for=condition=Ready": ("tests/e2e/test_demo.py", "readme_commands"),
    "kubectl get md": ("tests/e2e/test_demo.py", "readme_commands"),
    "kubectl describe md": ("tests/e2e/test_demo.py", "readme_commands"),
    "kubectl port-forward service/digits 8443 &": ("tests/e2e/test_demo.py", "with_free_port(block)"),
    "curl --retry 3 --retry-connrefused --cacert": ("tests/e2e/test_demo.py", "with_free_port(block)"),
    "kubectl annotate secret": ("tests/apiserver/test_certificates.py", '"annotate", "secret"'),
    "kubectl get secret digits-tls": (
        "tests/e2e/test_cert_manager.py",
        'guide_command("kubectl get secret digits-tls")',
    ),
    "kubectl logs -l triton-operator.io/model-deployment=digits -c proxy --tail=-1": (
        "tests/e2e/test_cert_manager.py",
        'guide_command("kubectl logs")',
    ),
    "kubectl scale md": ("tests/e2e/test_demo.py", "readme_commands"),
    "tritonctl status": ("tests/unit/cli/status/test_status.py", '"status"'),
    "tritonctl infer": ("tests/unit/cli/test_infer.py", '"infer"'),
    "tritonctl render": ("tests/unit/cli/test_render.py", '"render"'),
    "tritonctl export": ("tests/unit/cli/test_export.py", '"export"'),
    "tritonctl mask-model": (
        "tests/unit/cli/mask_model/test_mask_model.py",
        '"mask-model", "--to", repository, "--before"',
    ),
    "tritonctl compress": ("tests/unit/cli/test_compress.py", '"compress"'),
    "tritonctl deploy": ("tests/unit/sdk/test_deployments.py", '"deploy"'),
    "tritonctl lint": ("tests/unit/cli/lint/test_lint.py", '"lint"'),
    "tritonctl explain": ("tests/unit/cli/explain/test_explain.py", '"explain"'),
    "tritonctl ca": ("tests/unit/cli/test_ca.py", '"ca"'),
    "tritonctl sign": ("tests/unit/cli/test_sign.py", '"sign"'),
    "tritonctl verify": ("tests/unit/cli/test_sign.py", '"verify"'),
    "tritonctl encrypt": ("tests/unit/cli/test_encrypt.py", '"encrypt"'),
    "tritonctl decrypt": ("tests/unit/cli/test_encrypt.py", '"decrypt"'),
    "kubectl create secret generic model-keys": ("tests/e2e/test_sources.py", '"keyset.json"'),
    "tritonctl privacy": ("tests/unit/cli/privacy/test_privacy.py", '"privacy", "digits"'),
    "tritonctl token": ("tests/unit/cli/token/test_token.py", '"token"'),
    "tritonctl run": ("tests/local/test_run.py", "user.serving("),
    "pip install '.[cli]'": ("tests/local/conftest.py", "[cli]"),
    "pip install '.[sdk]'": ("tests/unit/sdk/test_extra.py", 'EXTRA = "sdk"'),
    "make federated": ("tests/training/test_federated.py", '"make", "federated"'),
    "python3 -m hack.environment dev python -m training.federated": (
        "tests/training/test_federated.py",
        '"--differential-privacy"',
    ),
    "python3 -m hack.environment dev python -m training breast_cancer_federated": (
        "tests/training/test_federated.py",
        "_RECIPE.fit",
    ),
    "tritonctl --help": ("tests/unit/cli/test_start.py", '"--help"'),
    "tritonctl doctor": ("tests/e2e/test_cli.py", "tritonctl doctor"),
    "tritonctl rollout": ("tests/e2e/test_cli.py", "tritonctl rollout restart linear-regression"),
    "tritonctl logs": ("tests/e2e/test_cli.py", "tritonctl logs digits -f"),
    "tritonctl top": ("tests/e2e/test_cli.py", "tritonctl top linear-regression"),
    "tritonctl bench": ("tests/e2e/test_cli.py", "tritonctl bench linear-regression"),
    "tritonctl completion": ("tests/unit/cli/test_completion.py", "tritonctl completion bash"),
    "kubectl triton": ("tests/e2e/test_cli.py", "kubectl triton status digits"),
    "echo '[[5, 6]]' | tritonctl infer": ("tests/e2e/test_cli.py", "[[5, 6], [9, 10]]"),
    "helm upgrade --install": ("hack/install.py", '"--install"'),
}
"""Who runs a command that the documents show: a file, and a text in it."""

REASONS = sorted((ROOT / "docs" / "reasons").glob("*.md"))
"""All of their commands but `tritonctl status` are run by one test."""
PRIVACY = ROOT / "docs" / "privacy.md"
"""One test compares the output of each command with the page."""
TUTORIALS = sorted((ROOT / "docs").glob("tutorial*.md"))
"""One test types them in from the first line to the last."""

NOT_TAKEN = {
    "uv.lock",
    "pylock.toml",
    "sigs.k8s.io/kube-network-policies",
    "moons.py",
    "models/moons/1/model.pt",
    "pods/portforward",
}
"""Files that a decision names as alternatives, those that the tutorial's reader makes, and a subresource."""


def blocks(language: str, pages: Iterable[Path] = PAGES) -> Iterator[str]:
    """The fenced blocks of a language in these pages."""
    for page in pages:
        yield from re.findall(rf"^ *```{language}\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(pages: Iterable[Path] = PAGES) -> list[str]:
    """Every command line in the pages' shell blocks, without its comment; continued lines are one."""
    lines = (line for block in blocks("sh", pages) for line in block.replace("\\\n", " ").splitlines())
    return sorted({line.partition("  #")[0].strip() for line in lines} - {""})


def spans(page: Path) -> set[str]:
    """The text between backticks, outside of blocks."""
    return set(
        re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL))
    )


_OTHER_NAMES = (
    "keda.sh",
    "autoscaling.keda.sh",
    "nvidia.com",
    "amd.com",
    "gpu.intel.com",
    "kubernetes.io",
    "nvcr.io",
    "triton-operator.io",
    "1/",
    "config.",
)


def looks_like_a_path(text: str) -> bool:
    """Folders and files of this tree; not paths on other machines, options, types or code."""
    form = re.fullmatch(r"[\w.-]+(/[\w.*-]+)+/?|[\w-]+\.(md|py|yaml|toml|lock)", text)
    return form is not None and not text.startswith(_OTHER_NAMES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_exist(page: Path) -> None:
    """A file that was moved fails this test."""
    named = [text for text in spans(page) if looks_like_a_path(text) and text not in NOT_TAKEN]
    places = (ROOT, ROOT / "operator" / "triton_operator")
    assert [path for path in named if not any(any(place.glob(path)) for place in places)] == []


def test_each_decision_has_its_own_number() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    numbers = [record.name[:4] for record in records]
    assert numbers == [f"{number:04}" for number in range(1, len(records) + 1)]
    assert [record.read_text()[2:6] for record in records] == numbers


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_to_a_file(page: Path) -> None:
    """External links are not checked."""
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_make_targets_exist_and_are_documented() -> None:
    """`make help` lists each target once."""
    makefile = (ROOT / "Makefile").read_text()
    helped = re.findall(r"^([a-z0-9-]+):.*## ", makefile, re.MULTILINE)
    named = {target for page in PAGES for target in re.findall(r"\bmake ([a-z][a-z0-9-]*)`", page.read_text())}
    assert named - set(helped) == set()
    phony = {target for line in re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE) for target in line.split()}
    assert sorted(helped) == sorted(phony)


@pytest.mark.parametrize("command", commands())
def test_every_command_is_listed_with_what_runs_it(command: str) -> None:
    """Only the completeness of the list is checked; the listed tests run the commands."""
    shown = [by for start, by in SHOWN_BY.items() if command.startswith(start)]
    if command in commands(REASONS) and not command.startswith("tritonctl status"):
        shown.append(("tests/e2e/test_reason_pages.py", "page_commands"))
    if command in commands([PRIVACY]):
        shown.append(("tests/e2e/test_privacy_page.py", "page_commands"))
    if command in commands(TUTORIALS):
        shown.append(("tests/e2e/test_tutorial.py", "blocks(ENGLISH)"))
    assert shown, f"add {command!r} to SHOWN_BY with the test that runs it"
    for file, text in shown:
        assert text in (ROOT / file).read_text(), f"{file} no longer has {text!r}"


def test_the_readmes_object_is_the_example() -> None:
    """Readers copy it."""
    (shown,) = blocks("yaml", [ROOT / "README.md"])
    assert yaml.safe_load(shown) == yaml.safe_load((ROOT / "examples" / "digits.yaml").read_text())


@pytest.mark.parametrize("fragment", [*blocks("yaml", [GUIDE, ROOT / "docs" / "cli.md"])])
def test_the_guides_fragments_render(fragment: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is a part of a spec; the first example supplies the rest."""
    example = yaml.safe_load((ROOT / "examples" / "digits.yaml").read_text())
    file = tmp_path / "file.yaml"
    file.write_text(yaml.safe_dump({**example, "spec": {**example["spec"], **yaml.safe_load(fragment)}}))
    outcome = tritonctl(capsys, "render", "-f", file)
    assert outcome.code == 0, outcome.err


def test_the_guide_explains_every_condition_reason_and_control() -> None:
    """In a table or on a separate page; it names no reason that does not exist."""
    cells = re.findall(r"^\| (`[^|]+) \|", GUIDE.read_text(), re.MULTILINE)
    described = {word for cell in cells for word in re.findall(r"`(\w+)`", cell)}
    linked = re.findall(r"\[`(\w+)`\]\(reasons/(\w+)\.md\)", GUIDE.read_text())
    assert all(name == page for name, page in linked)
    reasons = {value for name, value in vars(Reason).items() if name.isupper()}
    types = {value for name, value in vars(conditions).items() if name.isupper() and isinstance(value, str)}
    assert described | {name for name, _ in linked} == reasons | types | set(ControlName)


def test_the_readmes_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against a server that echoes."""
    (code,) = blocks("python", [ROOT / "README.md"])
    with FakeCluster.running(tmp_path, monkeypatch) as cluster, grpc_server() as address:
        cluster.answer({"metadata": {"name": "digits"}})
        cluster.forward(address)
        exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - that it runs is the test.
    assert re.fullmatch(r"0 0\.\d+\n", capsys.readouterr().out)


def test_the_python_of_explanations_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against a server that echoes: each pixel is an output."""
    (code,) = blocks("python", [ROOT / "docs" / "explain.md"])
    monkeypatch.chdir(tmp_path)
    with FakeCluster.running(tmp_path, monkeypatch) as cluster, http_server() as address:
        cluster.answer({"metadata": {"name": "digits"}})
        cluster.forward(address)
        exec(compile(code, "explain.md", "exec"), {})  # noqa: S102 - that it runs is the test.
    assert "(1, 28, 28)" in capsys.readouterr().out
    assert (tmp_path / "why.png").exists()


def test_the_python_of_masking_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against a server that echoes."""
    backend = Backend({"answers": Model({"TEXT": ("BYTES", [-1, 1])})})
    with FakeCluster.running(tmp_path, monkeypatch) as cluster, http_server(backend) as address:
        cluster.answer({"metadata": {"name": "answers"}})
        cluster.forward(address)
        for code in blocks("python", [ROOT / "docs" / "masking.md"]):
            exec(compile(code, "masking.md", "exec"), {})  # noqa: S102 - that it runs is the test.
    assert capsys.readouterr().out.splitlines() == [
        "我是林晓东, 电话13912345678",
        "{'NAME': 1, 'PHONE': 1}",
        "<STAFF> called",
    ]


def test_the_guides_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It exports a network of the reader."""
    import torch

    (code,) = blocks("python", [GUIDE])
    monkeypatch.chdir(tmp_path)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    exec(compile(code, "guide.md", "exec"), {"network": network, "images": torch.zeros(2, 1, 28, 28)})  # noqa: S102 - that it runs is the test.
    assert (tmp_path / "models" / "digits" / "1" / "model.pt").exists()


def test_the_page_about_exports_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It compresses a network of the reader."""
    import torch

    (code,) = blocks("python", [ROOT / "docs" / "export.md"])
    monkeypatch.chdir(tmp_path)
    network = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(784, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
    )
    names = {"network": network, "images": torch.zeros(2, 1, 28, 28), "accuracy": lambda _: 1.0}
    exec(compile(code, "export.md", "exec"), names)  # noqa: S102 - that it runs is the test.
    assert (tmp_path / "model_repository" / "digits" / "1" / "model.pt").exists()


def test_the_tiers_are_those_that_pytest_runs() -> None:
    """The page starts with the lowest tier, and pytest with the one that takes longest."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tiers = [Path(path).name for path in config["tool"]["pytest"]["ini_options"]["testpaths"]]
    named = re.findall(r"^\| (\w+) \| .* \| `make ", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(tiers)
