"""Parse untrusted YAML within limits on size and nesting.

Input: a file or a text. Output: documents of plain values. Raises YamlError with a message of one sentence. The SDK and
`tritonctl` read manifests with it. Without the limits, a kilobyte of aliases could expand to gigabytes, and a thousand
nested values would exceed Python's recursion limit.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triton_operator.errors import TritonOperatorError
from triton_operator.files import FileTooLargeError, read_file, read_stream

if TYPE_CHECKING:
    import yaml

MOST_BYTES = 4 << 20
"""Maximum size of a file; the API server rejects objects of more than about 1.5 MB."""

DEEPEST = 100
"""Maximum depth of nested values; a manifest needs about twenty."""

MOST_VALUES = 200_000
"""Maximum number of values in a text, with all aliases expanded."""


_SURROGATE = re.compile("[\ud800-\udfff]")
"""Escapes in YAML can write one, but it cannot be encoded, so no server accepts it."""

_TAGS = ("null", "bool", "int", "float", "str", "seq", "map")
"""Types that JSON has, too. As in kubectl, a date is a string."""


class YamlError(TritonOperatorError, ValueError):
    """The text is not YAML or exceeds the limits; the message is one sentence."""


def read_documents(path: Path) -> Iterator[Any]:
    """Yield the documents of a file (`-` is standard input); raises YamlError, also if the file cannot be read."""
    try:
        data = _read(path)
    except OSError as error:
        raise YamlError(error.strerror or str(error)) from error
    except FileTooLargeError:
        raise YamlError(f"is larger than {MOST_BYTES} bytes") from None
    try:
        yield from load_documents(data.decode())
    except UnicodeDecodeError as error:
        raise YamlError(f"is not text, expected YAML (byte {error.start})") from error


def _read(path: Path) -> bytes:
    return read_stream(sys.stdin.buffer, MOST_BYTES) if str(path) == "-" else read_file(path, MOST_BYTES)


def load_documents(text: str) -> Iterator[Any]:
    """Yield the documents in order; raises YamlError."""
    import yaml

    try:
        loader = _loader_class()(text)
        while loader.check_data():  # type: ignore[no-untyped-call]
            yield loader.get_data()
    except (yaml.YAMLError, YamlError) as error:
        raise YamlError(f"is not YAML that can be read: {' '.join(str(error).split())}") from error
    except (ValueError, OverflowError) as error:  # For values that look like a date or a number but are not.
        raise YamlError(f"has a value that cannot be read: {' '.join(str(error).split())[:200]}") from error


def _loader_class() -> type[yaml.SafeLoader]:
    import yaml

    tags = {f"tag:yaml.org,2002:{tag}" for tag in _TAGS}

    class Loader(yaml.SafeLoader):
        """Checks the limits while it parses, before it creates any values."""

        yaml_constructors = {  # noqa: RUF012 - as in the base class.
            tag: make for tag, make in yaml.SafeLoader.yaml_constructors.items() if tag is None or tag in tags
        }
        yaml_implicit_resolvers = {  # noqa: RUF012 - as in the base class.
            first: [each for each in resolvers if each[0] in {*tags, "tag:yaml.org,2002:merge"}]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def __init__(self, text: str) -> None:
            super().__init__(text)
            self._depth = self._count = 0
            self._sizes: dict[str, int] = {}

        def compose_node(self, parent: Any, index: Any) -> Any:
            event, before = self.peek_event(), self._count  # type: ignore[no-untyped-call]
            if isinstance(event, yaml.AliasEvent):
                self._count += self._size_of(event)
            self._count += 1
            self._depth += 1
            self._check(event)
            node = super().compose_node(parent, index)
            self._depth -= 1
            _check_keys(event, node)
            if anchor := getattr(event, "anchor", None):
                self._sizes[anchor] = self._count - before
            return node

        def _size_of(self, alias: Any) -> int:
            if alias.anchor in self.anchors and alias.anchor not in self._sizes:
                raise YamlError(
                    f"*{alias.anchor} in line {alias.start_mark.line + 1} refers to a value that contains it"
                )
            return self._sizes.get(alias.anchor, 0)

        def _check(self, event: Any) -> None:
            place = f"line {event.start_mark.line + 1}"
            _check_characters(event, place)
            if self._depth > DEEPEST:
                raise YamlError(f"{place}: values are nested more than {DEEPEST} deep")
            if self._count > MOST_VALUES:
                raise YamlError(f"{place}: with its aliases it has more than {MOST_VALUES} values")

    return Loader


def _check_keys(event: Any, node: Any) -> None:
    """As in kubectl, a field that is given twice is an error; PyYAML would keep the last one."""
    import yaml

    seen: set[tuple[str, str]] = set()
    for key, _ in node.value if isinstance(event, yaml.MappingStartEvent) else ():
        if key.id == "scalar" and (key.tag, key.value) in seen and key.tag != "tag:yaml.org,2002:merge":
            raise YamlError(f"line {key.start_mark.line + 1}: {key.value!r} is given twice")
        if key.id == "scalar":
            seen.add((key.tag, key.value))


def _check_characters(event: Any, place: str) -> None:
    if _SURROGATE.search(getattr(event, "value", None) or ""):
        raise YamlError(f"{place}: half of a surrogate pair is not a character")
