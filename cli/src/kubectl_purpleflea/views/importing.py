"""The report of `import` and the table of `cost`. Pure."""

from collections.abc import Sequence

from kubectl_purpleflea.decisions.import_draft import Change, Fate
from kubectl_purpleflea.decisions.metrics_cost import Cost
from kubectl_purpleflea.views.text import Line, Part, Style, line, styled, table

_STYLES: dict[Fate, Style] = {Fate.LOST: "yellow", Fate.REQUIRED: "red", Fate.KEPT: "green"}
_SEQUENCE = (Fate.REQUIRED, Fate.LOST, Fate.CHANGED, Fate.DROPPED, Fate.KEPT)


def report(changes: Sequence[Change]) -> list[Line]:
    """Return one line per field, those that need a decision first."""
    found = sorted(changes, key=lambda item: _SEQUENCE.index(item.fate))
    rows: list[list[str | Part]] = [
        [styled(str(item.fate), _STYLES.get(item.fate, "")), item.source, item.result]
        for item in found
    ]
    return table(rows)


def costs(found: Cost, *, every_metric: bool) -> list[Line]:
    """Return the table of custom metrics."""
    rows = [["METRIC", "PER AGENT", "TOTAL", "TAGS"]]
    rows += [
        [row.metric, str(row.per_agent), str(row.total), ",".join(row.tags)]
        for row in (found.rows if every_metric else found.rows[:10])
    ]
    budget = "" if found.budget is None else f" of a budget of {found.budget}"
    style: Style = "green" if found.is_within_budget else "red"
    head = f"{found.total} custom metrics{budget}"
    lines = [
        line(styled(head, style), f": {found.agents} agents, {found.markets} markets"),
        *table(rows),
    ]
    hidden = len(found.rows) - 10
    return (
        [*lines, line(f"… {hidden} more metrics, see --all")]
        if hidden > 0 and not every_metric
        else lines
    )
