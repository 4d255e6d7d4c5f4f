"""The data types of tensors in requests, configurations and signatures."""

from __future__ import annotations

from enum import StrEnum


class DataType(StrEnum):
    """The names are Triton's, without `TYPE_`. The KServe v2 protocol uses the same names, except BYTES for STRING."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    FP32 = "FP32"
    FP64 = "FP64"
    STRING = "STRING"
    BF16 = "BF16"
