"""The findings of `doctor` as text. Pure."""

from collections.abc import Sequence

from kubectl_purpleflea.decisions.finding import Finding, Severity, counted
from kubectl_purpleflea.views.text import Line, Style, line, styled

_MARKS: dict[Severity, tuple[str, Style]] = {
    Severity.ERROR: ("✗ error  ", "red"),
    Severity.WARNING: ("! warning", "yellow"),
    Severity.UNKNOWN: ("? unknown", "yellow"),
    Severity.NOTE: ("- note   ", "dim"),
    Severity.OK: ("✓ ok     ", "green"),
}


def finding_lines(found: Sequence[Finding]) -> list[Line]:
    """Return the lines of findings, each with its fix below it."""
    lines: list[Line] = []
    for item in found:
        mark, style = _MARKS[item.severity]
        lines.append(line(styled(mark, style), f" {item.check}: {item.text}"))
        if item.fix:
            lines.append(line("            fix: ", styled(item.fix, "bold")))
        if item.link:
            lines.append(line("            see: ", styled(item.link, "dim")))
    errors = sum(item.severity is Severity.ERROR for item in found)
    warnings = sum(item.severity is Severity.WARNING for item in found)
    unknown = sum(item.severity is Severity.UNKNOWN for item in found)
    missing = f", {counted(unknown, 'check')} not made" if unknown else ""
    summary = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}{missing}"
    return [*lines, line(summary)]
