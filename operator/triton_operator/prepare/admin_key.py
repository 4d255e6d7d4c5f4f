"""The key to Triton's administration: made in the pod, known to nobody outside.

`prepare` writes it as an environment file, the kubelet hands it to Triton (`env.valueFrom.fileKeyRef`, KEP-3721).
"""

from __future__ import annotations

import os
from pathlib import Path

from triton_operator.triton.preparation import KEY_VARIABLE

KEY_BYTES = 32


def write_admin_key(path: Path) -> None:
    """Write a fresh random key, readable by its owner and root, in place of an earlier one.

    The kubelet's parser takes single quotes only (seen on 1.36: "couldn't parse env file" with double quotes or none).
    """
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{KEY_VARIABLE}='{os.urandom(KEY_BYTES).hex()}'\n")
    temporary.replace(path)
