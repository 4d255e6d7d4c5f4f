"""`tritonctl lint`: the problems that it detects, with their file, place and advice."""

from __future__ import annotations

import ast
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.archives import EXTRA, SIGNATURE, a_model_file, an_archive, write
from tests.paths import ROOT
from tests.tritonctl import tritonctl
from triton_operator.triton.model_file.signature import Signature, encode

CONFIG = """backend: "pytorch"
max_batch_size: 64
input { name: "INPUT__0" data_type: TYPE_FP32 dims: [1, 28, 28] }
output { name: "OUTPUT__0" data_type: TYPE_FP32 dims: 10 }
dynamic_batching { }
"""
CODE = """class Digits(Module):
  __parameters__ = []
  def forward(self: __torch__.Digits,
    images: Tensor,
    scale: Optional[float]=None) -> Tensor:
    return torch.mul(images, 2)
"""


def a_program(code: str = CODE, signature: Signature | None = SIGNATURE) -> bytes:
    """An archive whose data.pkl names the class, as torch writes it."""
    members = [("data.pkl", b"\x80\x02c__torch__\nDigits\nq\x00."), ("code/__torch__.py", code.encode())]
    extra = [(EXTRA, encode(signature))] if signature else []
    return an_archive(*members, ("constants.pkl", b"\x80\x02)."), *extra)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder without problems."""
    write(tmp_path / "digits" / "1" / "model.pt", a_program())
    write(tmp_path / "digits" / "config.pbtxt", CONFIG.encode())
    return tmp_path / "digits"


def test_no_findings(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For a model, and for its repository."""
    for path in (model, model.parent, model / "config.pbtxt", model / "1" / "model.pt"):
        assert tritonctl(capsys, "lint", path) == (0, "", "0 errors, 0 warnings\n"), path


def test_the_committed_models_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """The models of the repository and the examples have no findings."""
    outcome = tritonctl(capsys, "lint", ROOT / "model_repository", *sorted((ROOT / "examples").glob("*.yaml")))
    assert (outcome.code, outcome.out) == (0, "")


@pytest.mark.parametrize(
    ("line", "severity", "words"),
    [
        ('torch.save(images, "/tmp/a")', "error", "writes a file"),
        ('y = torch.from_file("/etc/passwd", False, 10)', "error", "opens a file on the server"),
        ("print(images)", "warning", "prints to the server's log"),
        ('y = torch.to(images, torch.device("cuda:0"))', "warning", "uses the fixed device cuda:0"),
        ("y = ops.mine.fast_relu(images)", "error", "uses the custom operator mine::fast_relu"),
        ("y = ops.torchvision.nms(images)", "warning", "torchvision::nms, which is in NVIDIA's images"),
        ("y : __torch__.torch.classes.mine.Cache = x", "error", "uses the custom class mine::Cache"),
        ("y = ops.prim.NumToTensor(3)", "", ""),
        ("y = ops.quantized.add(x, x, 1., 0)", "", ""),
        ("y = self.fingerprint(x)", "", ""),
        ("hidden : __torch__.torch.classes.rnn.CellParamsBase = x", "", ""),
        ("y = ops.quantized.quantized_lstm_dynamic(x, [h], p, True, 1, 0., False, False, False)", "", ""),
        ("y = __torch__.torchvision.ops.boxes.nms(boxes, scores, 0.5)", "", ""),
        ("y = __torch__.mine.ops.fast.relu(x)", "", ""),
        ("y = __torch__.torchaudio.functional.functional.spectrogram(x)", "", ""),
        ("y = (ops.torchaudio.forced_align(x, t, l, m, 0))[0]", "error", "custom operator torchaudio::forced_align"),
        ("y = ops.onednn.qlinear_pointwise(x)", "", ""),
        ("y = ops.prepacked.linear_clamp_run(x, c)", "", ""),
    ],
)
def test_lines_of_the_program(
    model: Path, capsys: pytest.CaptureFixture[str], line: str, severity: str, words: str
) -> None:
    """The line number is that in the archive."""
    path = write(model / "1" / "model.pt", a_program(f"{CODE}    {line}\n"))
    outcome = tritonctl(capsys, "lint", path)
    assert outcome.code == (1 if severity == "error" else 0)
    if severity:
        assert outcome.out.startswith(f"{path}:code/__torch__.py: line 7: {severity}: ")
        assert words in outcome.out
    else:
        assert outcome.out == ""


@pytest.mark.parametrize(
    ("old", "new", "severity", "words"),
    [
        ("dims: 10", "dims 10", "error", "config.pbtxt: line 4: error: line 4, column"),
        (
            "dynamic_batching",
            "dynamic_batch",
            "error",
            'line 5: error: Triton rejects it: Message type "inference.ModelC',
        ),
        ("[1, 28, 28]", "64", "error", "INPUT__0 as FP32 [64], but the model's signature declares FP32 [1,28,28]"),
        ("dims: 10", "dims: [-1, 10]", "error", "with max_batch_size, dims do not include the batch"),
        (
            "TYPE_FP32 dims: 10",
            "TYPE_BF16 dims: 10",
            "error",
            "output[0].data_type: error: Triton does not support TYPE_BF16",
        ),
        ("dims: 10", "dims: 0", "error", "output[0].dims: error: has a size that is neither positive nor -1"),
        ("dynamic_batching { }", "", "warning", "dynamic_batching: warning: is not set"),
        ("INPUT__0", "INPUT__1", "error", "must end in __0 to __0"),
        (
            "INPUT__0",
            "pictures",
            "warning",
            "the names pictures contain no position, and forward() takes (images, scale)",
        ),
        ('backend: "pytorch"', 'backend: "pytorch" name: "other"', "error", 'has name: "other"'),
        (
            "dims: 10",
            'dims: 10 label_filename: "labels.txt"',
            "error",
            "output[0].label_filename: error: the model's folder has no file labels.txt",
        ),
        (
            "dynamic_batching { }",
            'parameters { key: "EXECUTION_ENV_PATH" value { string_value: "$$TRITON_MODEL_DIRECTORY/e.gz" } }',
            "error",
            "parameters[EXECUTION_ENV_PATH]: error: the model's folder has no file e.gz",
        ),
        (
            "max_batch_size",
            "version_policy { specific { versions: 3 } } max_batch_size",
            "error",
            "selects version 3; the model's folder has 1",
        ),
    ],
)
def test_mistakes_in_a_config(
    model: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, severity: str, words: str
) -> None:
    write(model / "config.pbtxt", CONFIG.replace(old, new).encode())
    outcome = tritonctl(capsys, "lint", model)
    assert words in outcome.out
    assert f" {severity}: " in next(line for line in outcome.out.splitlines() if words in line)


def test_without_a_signature_the_arguments_still_tell(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(model / "1" / "model.pt", a_program(signature=None))
    write(model / "config.pbtxt", f"{CONFIG} input [{{ name: 'a' }}, {{ name: 'b' }}]".encode())
    outcome = tritonctl(capsys, "lint", model)
    assert outcome.code == 1
    assert "has no signature" in outcome.out
    assert "has 3 inputs (INPUT__0, a, b), and forward() takes (images, scale)" in outcome.out


def test_what_triton_fills_counts_among_the_arguments(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A control of a sequence is an argument of forward(); a second one is one too many."""
    write(model / "1" / "model.pt", a_program(signature=None))
    control = "control_input {{ name: '{}' control {{ kind: CONTROL_SEQUENCE_START int32_false_true: [0, 1] }} }}"
    config = CONFIG.replace("dynamic_batching { }", f"sequence_batching {{ {control.format('START__1')} }}")
    write(model / "config.pbtxt", config.encode())
    assert "forward() takes" not in tritonctl(capsys, "lint", model).out
    more = config.replace("sequence_batching {", f"sequence_batching {{ {control.format('READY__2')}")
    write(model / "config.pbtxt", more.encode())
    assert "has 3 inputs (INPUT__0, READY__2, START__1)" in tritonctl(capsys, "lint", model).out
    write(model / "config.pbtxt", b'backend: "pytorch"')
    outcome = tritonctl(capsys, "lint", model)
    assert "config.pbtxt: input: error: is missing, and the model has no signature to derive it from" in outcome.out


def test_a_batch_that_is_in_the_dims(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a signature, it can only be suspected."""
    write(model / "1" / "model.pt", a_program(signature=None))
    write(model / "config.pbtxt", CONFIG.replace("[1, 28", "[-1, 1, 28").replace("10", "[-1, 10]").encode())
    outcome = tritonctl(capsys, "lint", model)
    assert outcome.code == 0
    assert "every input and output start with -1, which looks like a batch dimension" in outcome.out
    assert "model_warmup: warning: is not set" in outcome.out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps({"a": 1}), "is a Python pickle, not TorchScript"),
        (an_archive(("data.pkl", b"")), "is a pickle written by torch.save, not TorchScript"),
        (b"", "is empty, not TorchScript"),
        (a_model_file()[:300], "is an incomplete zip archive"),
        (a_model_file(SIGNATURE, (EXTRA, b"")), "occurs in the archive 2 times"),
    ],
)
def test_what_is_no_torchscript(model: Path, capsys: pytest.CaptureFixture[str], content: bytes, words: str) -> None:
    write(model / "1" / "model.pt", content)
    outcome = tritonctl(capsys, "lint", model)
    assert outcome.code == 1
    assert words in outcome.out
    assert outcome.err.startswith("1 error, 0 warnings\n")


def test_a_model_without_versions(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message is that of the pod."""
    (model / "1").rename(model / "first")
    outcome = tritonctl(capsys, "lint", model)
    assert outcome.code == 1
    assert "ModelVersionNotFound: /digits has no numbered version folder with a file in it" in outcome.out


def test_a_config_without_a_backend(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model's file determines it; without a file it is an error, and for a single file it is unknown."""
    silent = CONFIG.replace('backend: "pytorch"', "")
    config = write(model / "config.pbtxt", silent.encode())
    for path in (model, model.parent, config):
        assert tritonctl(capsys, "lint", path).code == 0, path
    write(model / "config.pbtxt", silent.replace("dims: 10", "dims: 11").encode())
    assert "the model's signature declares FP32 [10]" in tritonctl(capsys, "lint", model).out
    (model / "1" / "model.pt").rename(model / "1" / "weights")
    outcome = tritonctl(capsys, "lint", model)
    assert outcome.code == 1
    assert 'error: neither "backend" nor "platform" is set' in outcome.out
    alone = write(model.parent / "alone" / "config.pbtxt", silent.encode())
    outcome = tritonctl(capsys, "lint", alone)
    assert outcome.code == 0
    assert 'warning: neither "backend" nor "platform" is set' in outcome.out


@pytest.mark.parametrize(
    ("added", "words"),
    [
        (
            "parameters { key: 'ENABLE_JIT_PROFILING' value { string_value: 'true' } }",
            "parameters[ENABLE_JIT_PROFILING]: warning: is ignored by the CPU image",
        ),
        ("model_metrics { }", "model_metrics: warning: requires Triton 24.11; older servers"),
    ],
)
def test_what_a_server_ignores_or_does_not_know(
    model: Path, capsys: pytest.CaptureFixture[str], added: str, words: str
) -> None:
    write(model / "config.pbtxt", f"{CONFIG}{added}".encode())
    outcome = tritonctl(capsys, "lint", model)
    assert outcome.code == 0
    assert words in outcome.out
    assert outcome.err == "0 errors, 1 warning\n"


def test_the_parameters_that_the_backend_reads_are_accepted(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The set is that of the backend's own code, which the CPU image contains."""
    backend = (ROOT / "operator" / "triton_operator" / "cpu_server" / "backend" / "model.py").read_text()
    (line,) = re.findall(r"^_PARAMETERS = (\{.*\})$", backend, re.MULTILINE)
    names = ast.literal_eval(line)
    added = "".join(f"parameters {{ key: '{name}' value {{ string_value: '1' }} }}\n" for name in names)
    write(model / "config.pbtxt", f"{CONFIG}{added}".encode())
    outcome = tritonctl(capsys, "lint", model)
    assert len(names) > 1
    assert (outcome.code, outcome.err) == (0, "0 errors, 0 warnings\n")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("Tensor", ""),
        ("Optional[Tensor]", ""),
        ("List[Tensor]", "forward() takes images as List[Tensor], but Triton passes only tensors"),
        ("Dict[str, Tensor]", "forward() takes images as Dict[str, Tensor]"),
        ("Tuple[Tensor, Tensor]", "forward() takes images as Tuple[Tensor, Tensor]"),
        ("int", "forward() takes images as int"),
    ],
)
def test_arguments_that_no_input_can_be(model: Path, capsys: pytest.CaptureFixture[str], kind: str, words: str) -> None:
    """Independent of the names of the arguments."""
    code = CODE.replace("images: Tensor", f"images: {kind}").replace("self: __torch__", "s: __torch__")
    write(model / "1" / "model.pt", a_program(code))
    outcome = tritonctl(capsys, "lint", model)
    assert outcome.code == (1 if words else 0)
    assert words in outcome.out


def test_a_python_model_without_a_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "words" / "1" / "model.py", b"")
    outcome = tritonctl(capsys, "lint", tmp_path / "words")
    assert outcome.code == 1
    assert 'automatic completion is off. Write it with backend: "python"' in outcome.out


@pytest.mark.parametrize("name", ["with space", "mödel"])
def test_a_folder_whose_name_no_model_can_have(model: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Triton hangs with the first, and does not load the second."""
    folder = model.rename(model.parent / name)
    for path in (folder, folder.parent):
        outcome = tritonctl(capsys, "lint", path)
        assert outcome.code == 1
        assert f"{name!r} is not a valid model name: use letters from A to Z" in outcome.out


def test_a_python_model_is_not_asked_for_torchscript(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "words" / "1" / "model.py", b"")
    write(tmp_path / "words" / "1" / "model.pt", b"weights")
    write(tmp_path / "words" / "config.pbtxt", b'backend: "python" input { name: "x" data_type: TYPE_FP32 dims: 1 }')
    assert tritonctl(capsys, "lint", tmp_path).code == 0


def test_files_that_a_config_names_are_in_the_folder(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An absolute path is in the image of the server."""
    write(model / "labels.txt", b"zero\n")
    parameter = 'parameters { key: "EXECUTION_ENV_PATH" value { string_value: "/opt/env.tar.gz" } }'
    labeled = CONFIG.replace("dims: 10", 'dims: 10 label_filename: "labels.txt"')
    write(model / "config.pbtxt", f"{labeled}{parameter}\n".encode())
    assert tritonctl(capsys, "lint", model).code == 0


def test_a_deployment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its fields, and the configuration of its model."""
    text = (ROOT / "examples" / "digits.yaml").read_text()
    path = write(tmp_path / "a.yaml", text.replace("models:", "model:").encode())
    outcome = tritonctl(capsys, "lint", path)
    assert outcome.code == 1
    assert "spec.model: unknown field" in outcome.out
    config = "config: {maxBatchSize: 8, inputs: [{name: x, dataType: BF16, dims: [1]}]}"
    path = write(tmp_path / "b.yaml", text.replace("- name: digits", f"- name: digits\n      {config}").encode())
    outcome = tritonctl(capsys, "lint", path)
    assert "spec.models[digits].config.input[0].data_type: error: Triton does not support TYPE_BF16" in outcome.out


def test_for_programs(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(model / "config.pbtxt", CONFIG.replace("10", "0").encode())
    outcome = tritonctl(capsys, "lint", model, "-o", "json")
    assert outcome.code == 1
    assert json.loads(outcome.out)[0] == {
        "file": str(model / "config.pbtxt"),
        "place": "output[0].dims",
        "severity": "error",
        "message": "has a size that is neither positive nor -1",
        "advice": "-1 means any size",
    }


def test_what_this_torch_registers_is_no_custom_operator(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither its operators nor its classes, as listed by torch itself."""
    program = (
        "import torch; names = {s.name for s in torch._C._jit_get_all_schemas()}; "
        "operators = {name.replace('::', '.') for name in names if '::' in name}; "
        "classes = {str(s.arguments[0].type) for s in torch._C._jit_get_custom_class_schemas() if s.arguments}; "
        "print(*('ops.' + name for name in operators), *classes, sep='\\n')"
    )
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "__torch__.torch.classes.rnn.CellParamsBase" in output
    path = write(model / "1" / "model.pt", a_program(CODE + "".join(f"    y = {name}(x)\n" for name in output)))
    outcome = tritonctl(capsys, "lint", path)
    assert "writes a file (torch.save)" in outcome.out
    assert "custom" not in outcome.out


def test_nothing_to_look_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tritonctl(capsys, "lint", tmp_path / "missing.pt").code == 2
    outcome = tritonctl(capsys, "lint", tmp_path)
    assert outcome.code == 2
    assert "contains no model" in outcome.err


def test_nothing_is_executed_and_torch_is_not_needed(model: Path) -> None:
    """A pickle that would run a program is detected without being loaded."""

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, ("raise SystemExit(77)",))

    bad = model.parent / "bad"
    write(
        bad / "1" / "model.pt",
        an_archive(("data.pkl", pickle.dumps(Evil())), ("constants.pkl", b""), ("code/a.py", b"")),
    )
    program = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['tritonctl', 'lint', *sys.argv[1:]]; "
        "from triton_operator.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(model.parent)],
        check=False,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 1
    assert (
        "bad/1/model.pt:data.pkl: error: names builtins exec, which is called when the pickle is loaded" in done.stdout
    )


@pytest.mark.parametrize(
    "config",
    [
        "{maxBatchSize: 64}",
        "{maxBatchSize: 64, inputs: [{name: INPUT__0, dataType: FP32, dims: [1, 28, 28]}]}",
    ],
)
def test_what_the_operator_completes_is_not_missed(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The signature may contain the rest; no file is read here."""
    text = (ROOT / "examples" / "digits.yaml").read_text()
    path = write(
        tmp_path / "a.yaml", text.replace("- name: digits", f"- name: digits\n      config: {config}").encode()
    )
    outcome = tritonctl(capsys, "lint", path)
    assert (outcome.code, outcome.out) == (0, "")


def test_a_contradictory_config_is_reported_with_its_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The operator reports the same as InvalidSpec."""
    config = "{inputs: [{name: INPUT__0, dataType: FP32, dims: [4], reshape: [3]}]}"
    text = (ROOT / "examples" / "digits.yaml").read_text()
    path = write(
        tmp_path / "a.yaml", text.replace("- name: digits", f"- name: digits\n      config: {config}").encode()
    )
    outcome = tritonctl(capsys, "lint", path)
    assert outcome.code == 1
    assert "digits: spec.models[0].config" in outcome.out


def test_an_ensemble_that_does_not_fit_the_models_of_its_deployment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a repository; a model whose file has a signature is not known here."""
    text = """
apiVersion: triton-operator.io/v1alpha1
kind: ModelDeployment
metadata: {name: pair}
spec:
  modelRepository: {image: {reference: "models:1"}}
  models:
    - name: both
      format: Ensemble
      config:
        maxBatchSize: 8
        inputs: [{name: A, dataType: FP32, dims: [3]}]
        outputs: [{name: B, dataType: FP32, dims: [3]}]
        ensemble: {steps: [{modelName: one, inputMap: {X: A}, outputMap: {Y: B}}]}
    - name: one
      config:
        maxBatchSize: 8
        inputs: [{name: X, dataType: FP32, dims: [4]}]
        outputs: [{name: Y, dataType: FP32, dims: [3]}]
"""
    outcome = tritonctl(capsys, "lint", write(tmp_path / "a.yaml", text.encode()))
    assert outcome.code == 1
    assert '"A" is FP32 [-1,3] in both, but FP32 [-1,4] in one' in outcome.out
    silent = text[: text.index("        maxBatchSize: 8", text.index("name: one"))].replace(
        "name: one\n      config:", "name: one"
    )
    outcome = tritonctl(capsys, "lint", write(tmp_path / "b.yaml", silent.encode()))
    assert (outcome.code, outcome.out) == (0, "")


def test_a_config_that_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is reported like any other problem, without a traceback."""
    outcome = tritonctl(capsys, "lint", write(tmp_path / "config.pbtxt", b"\xff\xfe"))
    assert outcome.code == 1
    assert "is not UTF-8 text (byte 0)" in outcome.out


def test_the_advice_writes_the_same_model(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the folder's name and version, not those of the current folder."""
    write(model / "1" / "model.pt", a_program(signature=None))
    output = tritonctl(capsys, "lint", model).out
    assert f"tritonctl export {model}/1/model.pt --to {model.parent} --name digits --version 1 --input" in output
