"""log_processing_rules: masking and filtering of a log line before it leaves the node.

Pure. Patterns are written for Go's engine; its `$1` and `${name}` in placeholders are supported.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Rule = Callable[[str], str | None]
"""Function that returns the line to send instead, or None to send no line."""

_GO_REFERENCE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class RuleError(Exception):
    """A rule is invalid; the message contains the rule and the reason."""


def compiled(rules: Any) -> tuple[Rule, ...]:
    """Compile the rules of an annotation, in sequence."""
    if not isinstance(rules, Sequence) or isinstance(rules, str):
        raise RuleError("log_processing_rules must be a list")
    return tuple(_rule(rule) for rule in rules)


def applied(rules: Sequence[Rule], line: str) -> str | None:
    """Return the line after all rules; None if one of them removed it."""
    kept: str | None = line
    for rule in rules:
        if kept is None:
            return None
        kept = rule(kept)
    return kept


def _rule(rule: Any) -> Rule:
    if not isinstance(rule, Mapping):
        raise RuleError("each of log_processing_rules must be an object")
    name = rule.get("name", "without a name")
    try:
        pattern = re.compile(str(rule["pattern"]))
    except (KeyError, re.error) as error:
        raise RuleError(f"rule {name}: invalid pattern: {error}") from error
    match rule.get("type"):
        case "mask_sequences":
            placeholder = _GO_REFERENCE.sub(
                _python_reference, str(rule.get("replace_placeholder", "")).replace("\\", r"\\")
            )
            return lambda line: pattern.sub(placeholder, line)
        case "exclude_at_match":
            return lambda line: None if pattern.search(line) else line
        case "include_at_match":
            return lambda line: line if pattern.search(line) else None
        case other:
            raise RuleError(f"rule {name}: unknown type {other!r}")


def _python_reference(reference: re.Match[str]) -> str:
    return rf"\g<{reference[1] or reference[2]}>"
