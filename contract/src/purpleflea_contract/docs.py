"""The tables of docs/, from the contract: `python -m purpleflea_contract.docs docs` (`make docs`).

A page is written by hand, except the parts between `<!-- generated: NAME -->` and `<!-- end -->`. Rendering is pure;
only the command reads and writes files.
"""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from purpleflea_contract import (
    cardinality,
    control,
    environment,
    events,
    metrics,
    routes,
    spans,
    tags,
)
from purpleflea_contract.metrics import MetricType
from purpleflea_contract.tags import Tag

BLOCK = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def metrics_table() -> str:
    """Return the table of metrics."""
    rows = [
        (
            _code(item.name),
            item.type.value,
            item.unit,
            ", ".join(_code(tag.name) for tag in item.tags) or "-",
            item.description,
            item.emitted,
        )
        for item in metrics.METRICS
    ]
    return _table(("metric", "type", "unit", "tags", "meaning", "sent"), rows)


def custom_metrics_table() -> str:
    """Return the table of the expected custom metrics."""
    rows = []
    for item in metrics.METRICS:
        counts = cardinality.AGGREGATES + cardinality.PERCENTILES
        each = counts if item.type is MetricType.DISTRIBUTION else 1
        per = "market" if cardinality.is_per_market(item) else "agent"
        rows.append(
            (_code(item.name), str(item.usual), str(each), f"{item.usual * each} per {per}")
        )
    total = cardinality.SENT
    rows.append(("all", "", "", f"{total.fixed} per agent + {total.per_market} per market"))
    return _table(("metric", "series", "each counts", "custom metrics"), rows)


def exposed_names_table() -> str:
    """Return the table of the names on /metrics."""
    kinds = {
        MetricType.GAUGE: "gauge",
        MetricType.COUNT: "counter",
        MetricType.DISTRIBUTION: "histogram",
    }
    rows = [(_code(m.name), _code(m.exposed_name), kinds[m.type]) for m in metrics.METRICS]
    return _table(("metric", "on /metrics", "type"), rows)


def tags_table() -> str:
    """Return the table of metric tags and their bounds."""
    used: dict[str, Tag] = {tag.name: tag for tag in tags.EVERY_METRIC}
    used |= {tag.name: tag for metric in metrics.METRICS for tag in metric.tags}
    rows = [
        (
            _code(tag.name),
            tag.description,
            ", ".join(_code(value) for value in tag.values)
            or f"at most {tag.bound}: {tag.limited_by}",
        )
        for tag in used.values()
    ]
    return _table(("tag", "meaning", "values"), rows)


def spans_table() -> str:
    """Return the table of spans."""
    rows = [
        (
            _code(item.name),
            _code(item.resource.replace("{{", "{").replace("}}", "}")),
            ", ".join(map(_code, item.tags)),
            "yes" if item.measured else "no",
            item.description,
        )
        for item in spans.SPANS
    ]
    return _table(("span", "resource", "tags", "measured", "meaning"), rows)


def events_table() -> str:
    """Return the table of log events."""
    rows = [
        (_code(item.name), item.level, item.message, ", ".join(map(_code, item.attributes)))
        for item in events.EVENTS
    ]
    return _table(("event_type", "level", "message", "attributes"), rows)


def line_fields() -> str:
    """Return the fields of each log line."""
    return ", ".join(map(_code, events.LINE_FIELDS)) + "\n"


def environment_table() -> str:
    """Return the table of environment variables."""
    rows = [(_code(item.name), item.set, item.meaning) for item in environment.VARIABLES]
    return _table(("variable", "set", "meaning"), rows)


def mounts_table() -> str:
    """Return the table of mounted folders."""
    rows = [(_code(item.path), item.mounted, item.meaning) for item in environment.MOUNTS]
    return _table(("folder", "mounted", "meaning"), rows)


def routes_table() -> str:
    """Return the table of HTTP paths."""
    rows = [
        (
            _code(f"{item.method} {item.path}"),
            "yes" if item.required else "no",
            item.who,
            item.meaning,
        )
        for item in routes.ROUTES
    ]
    return _table(("path", "required", "requested by", "meaning"), rows)


def acknowledgement_table() -> str:
    """Return the table of the fields of /v1/control."""
    rows = [
        (
            _code(name),
            "yes" if field.is_required() else "no",
            " ".join((field.description or "").split()),
        )
        for name, field in control.Acknowledgement.model_fields.items()
    ]
    return _table(("field", "required", "meaning"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "metrics": metrics_table,
    "custom-metrics": custom_metrics_table,
    "exposed-names": exposed_names_table,
    "tags": tags_table,
    "spans": spans_table,
    "events": events_table,
    "line-fields": line_fields,
    "environment": environment_table,
    "mounts": mounts_table,
    "routes": routes_table,
    "acknowledgement": acknowledgement_table,
}


def with_tables(page: str) -> str:
    """Return the page with its generated parts from the current contract.

    Raises:
        KeyError: The page names an unknown table.
    """
    return BLOCK.sub(lambda match: f"{match[1]}\n{TABLES[match['name']]()}\n{match[3]}", page)


def main(folders: Sequence[str]) -> None:
    """Generate the pages of each folder again."""
    for folder in folders:
        for path in sorted(Path(folder).rglob("*.md")):
            page = path.read_text(encoding="utf-8")
            generated = with_tables(page)
            if generated != page:
                path.write_text(generated, encoding="utf-8")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    main(sys.argv[1:])
