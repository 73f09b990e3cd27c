"""Texts of metric and log queries, built from contract objects so that a name nobody sends cannot be asked for.

It checks tags and values against the contract; it does not parse or evaluate.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from purpleflea_contract import tags
from purpleflea_contract.metrics import Metric, MetricType
from purpleflea_contract.spans import Span
from purpleflea_contract.tags import Tag

Where = Mapping[Tag, str]
TRACE_TAGS = ("env", "service", "resource_name")
"""Tags of trace metrics. Tags of spans are not among them (Datadog documentation, "Trace metrics")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Something that can be queried: its name, its type, the tags its points carry."""

    name: str
    type: MetricType
    tags: tuple[str, ...]


def of_metric(metric: Metric) -> Source:
    """The series of a metric that agents send."""
    return Source(name=metric.name, type=metric.type, tags=(*metric.tag_names, *tags.UNIFIED))


def of_span(span: Span) -> Source:
    """The durations, in seconds, that Datadog computes from a measured span. Raises ValueError for another span."""
    if not span.measured:
        raise ValueError(f"span {span.name} is not measured: no metric is computed from it")
    return Source(name=f"trace.{span.name}", type=MetricType.DISTRIBUTION, tags=TRACE_TAGS)


def series(
    source: Source,
    aggregator: str,
    scope: Iterable[str],
    *,
    where: Where | None = None,
    by: tuple[Tag, ...] = (),
) -> str:
    """`aggregator:name{filters} by {tags}`; counts are asked for as counts, never as rates per second."""
    filters = [*(_filter(source, tag, value) for tag, value in (where or {}).items()), *scope]
    text = f"{aggregator}:{source.name}{{{','.join(filters)}}}"
    if by:
        text += f" by {{{','.join(_grouping(source, tag) for tag in by)}}}"
    return text + (".as_count()" if source.type is MetricType.COUNT else "")


def _filter(source: Source, tag: Tag, value: str) -> str:
    _grouping(source, tag)
    if tag.values and value not in tag.values:
        raise ValueError(f"tag {tag.name} never has the value {value!r}")
    return f"{tag.name}:{value}"


def _grouping(source: Source, tag: Tag) -> str:
    if tag.name not in source.tags:
        raise ValueError(f"{source.name} carries no tag {tag.name}")
    return tag.name


def number(value: float) -> str:
    """A threshold as it stands in a query: 15, not 15.0."""
    return f"{value:g}"
