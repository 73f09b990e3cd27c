"""Builders of metric queries. Metrics, spans and tags are objects of the contract, so a query cannot use a name that
agents do not send.

The builders check tags and values against the contract. They do not parse or evaluate queries.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from purpleflea_contract import tags
from purpleflea_contract.metrics import Metric, MetricType
from purpleflea_contract.quantities import decimal_text
from purpleflea_contract.spans import Span
from purpleflea_contract.tags import Tag

Where = Mapping[Tag, str]
TRACE_TAGS = ("env", "service", "resource_name")
"""Tags of trace metrics. The tags of spans are not included (Datadog documentation, "Trace metrics")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Metric that can be queried, with the tags of its points."""

    name: str
    type: MetricType
    tags: tuple[str, ...]


def of_metric(metric: Metric) -> Source:
    """Return the source for a metric that agents send."""
    return Source(name=metric.name, type=metric.type, tags=(*metric.tag_names, *tags.UNIFIED))


def of_span(span: Span) -> Source:
    """Return the source for the durations, in seconds, that Datadog computes from a measured span.

    Raises:
        ValueError: The span is not measured.
    """
    if not span.measured:
        raise ValueError(f"span {span.name} is not measured, so Datadog computes no metric from it")
    return Source(name=f"trace.{span.name}", type=MetricType.DISTRIBUTION, tags=TRACE_TAGS)


def series(
    source: Source,
    aggregator: str,
    scope: Iterable[str],
    *,
    where: Where | None = None,
    by: tuple[Tag, ...] = (),
) -> str:
    """Return `aggregator:name{filters} by {tags}`. Counts are queried as counts, not as rates per second.

    Raises:
        ValueError: The source does not have a tag, or a tag cannot have the value.
    """
    filters = [*(_filter(source, tag, value) for tag, value in (where or {}).items()), *scope]
    text = f"{aggregator}:{source.name}{{{','.join(filters)}}}"
    if by:
        text += f" by {{{','.join(_known(source, tag) for tag in by)}}}"
    return text + (".as_count()" if source.type is MetricType.COUNT else "")


def _filter(source: Source, tag: Tag, value: str) -> str:
    _known(source, tag)
    if tag.values and value not in tag.values:
        raise ValueError(f"tag {tag.name} never has the value {value!r}")
    return f"{tag.name}:{value}"


def _known(source: Source, tag: Tag) -> str:
    if tag.name not in source.tags:
        raise ValueError(f"{source.name} has no tag {tag.name}")
    return tag.name


def number(value: float) -> str:
    """Return a threshold in the form of queries: 15, not 15.0. The text parses to exactly the same number.

    A number that formats itself, such as an HCL expression, keeps its text.
    """
    text = f"{value}"
    return decimal_text(value) if text == repr(value) else text
