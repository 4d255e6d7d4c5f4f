"""Untrusted file names: keys of a bucket, members of an archive."""

from __future__ import annotations

LONGEST_PART = 255
"""Maximum length of a file name in bytes, on all common file systems."""
LONGEST_NAME = 1024
"""Maximum length of a path in bytes, which is also the limit for keys in S3."""


def safe_parts(name: str) -> tuple[str, ...]:
    """The segments of a path that stays below its start; raises ValueError with the reason for any other path.

    "." and empty segments at the ends are ignored, because `tar` writes them: "./digits/" is ("digits",).
    """
    shown = ascii(name[:100])
    if name.startswith("/"):
        raise ValueError(f"{shown} is an absolute path")
    parts = tuple(part for part in name.removesuffix("/").split("/") if part != ".")
    if ".." in parts:
        raise ValueError(f"{shown} leaves the repository")
    if "" in parts[:-1] or (parts and not parts[-1] and len(parts) > 1):
        raise ValueError(f"{shown} has an empty segment")
    if "\\" in name or any(character < " " or character == "\x7f" for character in name):
        raise ValueError(f"{shown} contains a backslash or a control character")
    try:
        length = max((len(part.encode()) for part in parts), default=0)
    except UnicodeEncodeError as error:
        raise ValueError(f"{shown} is not UTF-8") from error
    if length > LONGEST_PART or len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"{shown} is too long")
    return tuple(part for part in parts if part)
