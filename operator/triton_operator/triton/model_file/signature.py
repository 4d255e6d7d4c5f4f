"""A model's type signature (not a cryptographic one): its input and output tensors, stored in its TorchScript file.

`tritonctl export` writes a Signature as a JSON document into the archive's extra files. `prepare` and `lint` read it,
and `signature_merge` compares it with a configuration. Pure. Documents are untrusted: reading one raises SignatureError
and nothing else.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from triton_operator.api.struct import Struct
from triton_operator.errors import TritonOperatorError

EXTRA_FILE = "triton_signature.json"
"""Name for `torch.jit.save(_extra_files=...)`, which stores it as `<archive>/extra/triton_signature.json`."""

TORCHSCRIPT_TYPES = frozenset({"BOOL", "UINT8", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "STRING"})
"""Data types that Triton's PyTorch backend supports for TorchScript (pytorch_backend, `src/libtorch_utils.cc`)."""

ANY = -1
"""A dimension of any size."""

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Size = Annotated[int, msgspec.Meta(ge=ANY, le=2**62)]


class SignatureError(TritonOperatorError, ValueError):
    """The document is not a valid signature, or has an unknown version; the text names the field."""


class TensorSpec(Struct, frozen=True):
    """An input or output: `data_type` as Triton names it without `TYPE_`, `dims` without the batch; -1 is any size."""

    name: _Name
    data_type: str
    dims: Annotated[tuple[_Size, ...], msgspec.Meta(max_length=64)]

    @property
    def shown(self) -> str:
        """Type and dimensions in messages: `FP32 [1,28,28]`."""
        return shown_tensor(self.data_type, self.dims)


_Tensors = Annotated[tuple[TensorSpec, ...], msgspec.Meta(min_length=1, max_length=1024)]


class Signature(Struct, frozen=True, omit_defaults=False):
    """A model's inputs and outputs, in the order of forward(); `max_batch_size` 0 means that it has no batch dimension.

    `version` is that of the document; readers reject unknown versions.
    """

    inputs: _Tensors
    outputs: _Tensors
    max_batch_size: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
    version: Literal[1] = 1


def encode(signature: Signature) -> bytes:
    """Encode as JSON with a line feed; equal content is encoded as equal bytes."""
    return msgspec.json.encode(signature) + b"\n"


def decode(data: bytes) -> Signature:
    """Read the output of `encode`; raises SignatureError."""
    try:
        signature = msgspec.json.decode(data, type=Signature)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SignatureError(f"{EXTRA_FILE} cannot be read: {error}") from error
    check(signature)
    return signature


def check(signature: Signature) -> None:
    """Check what types cannot express: duplicate names, and data types that Triton does not support for TorchScript."""
    for field, tensors in (("inputs", signature.inputs), ("outputs", signature.outputs)):
        if len({tensor.name for tensor in tensors}) < len(tensors):
            raise SignatureError(f"{EXTRA_FILE}: two of the {field} have the same name")
        for tensor in tensors:
            if tensor.data_type not in TORCHSCRIPT_TYPES:
                raise SignatureError(
                    f"{EXTRA_FILE}: {field}: {tensor.name} has the type {tensor.data_type[:20]!r}; "
                    f"for TorchScript, Triton supports {', '.join(sorted(TORCHSCRIPT_TYPES))}"
                )


def shown_tensor(data_type: str, dims: tuple[int, ...]) -> str:
    """Type and dimensions in messages: `FP32 [1,28,28]`."""
    return f"{data_type} [{','.join(map(str, dims))}]"
