"""Names of files as a stranger writes them: keys of a bucket, members of an archive."""

from __future__ import annotations

LONGEST_PART = 255
"""Bytes of one file name on every usual file system."""
LONGEST_NAME = 1024
"""Bytes of a whole path; also the longest key that S3 has."""


def safe_parts(name: str) -> tuple[str, ...]:
    """The folders and the file of a path, checked to stay below where it begins; raises ValueError saying why not.

    "." and empty parts at the ends fall away, as `tar` writes them: "./digits/" is ("digits",).
    """
    shown = ascii(name[:100])
    if name.startswith("/"):
        raise ValueError(f"{shown} is an absolute path")
    parts = tuple(part for part in name.removesuffix("/").split("/") if part != ".")
    if ".." in parts:
        raise ValueError(f"{shown} climbs out of its folder")
    if "" in parts[:-1] or (parts and not parts[-1] and len(parts) > 1):
        raise ValueError(f"{shown} has an empty part")
    if "\\" in name or any(character < " " or character == "\x7f" for character in name):
        raise ValueError(f"{shown} has a backslash or a control character")
    try:
        length = max((len(part.encode()) for part in parts), default=0)
    except UnicodeEncodeError as error:
        raise ValueError(f"{shown} is not UTF-8") from error
    if length > LONGEST_PART or len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"{shown} is too long")
    return tuple(part for part in parts if part)
