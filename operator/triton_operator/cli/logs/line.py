"""One line of a log as it is printed. Pure."""

from __future__ import annotations


def shown(line: str, pod: str, container: str, deployment: str, *, several: bool) -> str:
    """The line with a short prefix that names its pod and container, or without one if there is only one container."""
    if not several:
        return line
    return f"{pod.removeprefix(f'{deployment}-')} {container} | {line}"
