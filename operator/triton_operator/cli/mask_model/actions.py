"""Read the options --types and --action. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from triton_operator.cli.failures import UsageError
from triton_operator.masking import MaskingAction, PersonalDataKind


def parse_actions(types: str, actions: Sequence[str], key_file: str) -> dict[PersonalDataKind, MaskingAction]:
    """Return an action for each type; raises UsageError for unknown words and for actions that a model cannot do."""
    kinds = [_kind(each) for each in types.split(",") if each.strip()] or list(PersonalDataKind)
    chosen = dict.fromkeys(kinds, MaskingAction.REPLACE)
    for each in sorted(actions, key=lambda each: "=" in each):  # The action of one type overrides that of all.
        kind, separator, action = each.rpartition("=")
        for target in [_kind(kind)] if separator else kinds:
            if target not in chosen:
                raise UsageError(f"--action {each}: --types does not contain {target}")
            chosen[target] = _action(action)
    if MaskingAction.HASH in chosen.values() and not key_file:
        raise UsageError(
            "the action `hash` needs --key-file: a file with a secret key, as an absolute path or one relative to the "
            "version folder DIR/NAME/1, where this command writes model.py"
        )
    return chosen


def _kind(word: str) -> PersonalDataKind:
    try:
        return PersonalDataKind(word.strip().upper())
    except ValueError:
        raise UsageError(f"{word.strip()!r} is not a type; use {', '.join(PersonalDataKind)}") from None


def _action(word: str) -> MaskingAction:
    if word == MaskingAction.TOKENIZE:
        raise UsageError(
            "the action `tokenize` works only in the client, because a model cannot restore tokens; "
            "use `client.masked()` in the SDK"
        )
    try:
        return MaskingAction(word)
    except ValueError:
        raise UsageError(f"{word!r} is not an action; use mask, replace or hash") from None
