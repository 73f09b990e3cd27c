"""Syntax tree of a query, as frozen values. Windows are in seconds; `by` contains tag names."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """tag:value, !tag:value, or a template variable ($name), whose value is set later."""

    tag: str
    value: str
    negated: bool = False
    variable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricQuery:
    """A metric: aggregated over sources by `aggregator`, filtered, grouped. Without filters, all sources are
    included.
    """

    aggregator: str
    metric: str
    filters: tuple[Filter, ...] = ()
    by: tuple[str, ...] = ()
    as_count: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """Reference to another query in a formula."""

    name: str


@dataclass(frozen=True, slots=True)
class Binary:
    """left operator right."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """Function call in a formula."""

    function: str
    arguments: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomalies:
    """anomalies(): 1 if the expression leaves its usual band, else 0."""

    expression: "Expression"
    algorithm: str
    deviations: float
    options: tuple[tuple[str, str], ...] = ()


Expression = MetricQuery | Number | Name | Binary | FunctionCall | Anomalies


@dataclass(frozen=True, slots=True)
class Comparison:
    """Threshold in a monitor's query."""

    operator: str
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricCondition:
    """Query of a metric monitor: the expression, reduced over the window by `aggregation` and compared."""

    aggregation: str
    window_s: int
    expression: Expression
    comparison: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A term of a log search: a tag (`key`), an attribute (`@key`), or a template variable."""

    key: str
    value: str
    attribute: bool = False
    negated: bool = False
    variable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCondition:
    """Query of a log monitor: the number of matching lines in the window, per group, compared."""

    search: tuple[Term, ...]
    index: str
    by: tuple[str, ...]
    window_s: int
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Member:
    """Reference to another monitor in a composite, by id."""

    id: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Two parts of a composite, joined by && or ||."""

    operator: str
    left: "CompositeCondition"
    right: "CompositeCondition"


@dataclass(frozen=True, slots=True)
class Negated:
    """Negated part of a composite."""

    part: "CompositeCondition"


CompositeCondition = Member | Joined | Negated


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnRate:
    """Query of a burn rate monitor: the burn rate of an SLO's error budget in two windows."""

    slo: str
    over_s: int
    long_window_s: int
    short_window_s: int
    comparison: Comparison


Condition = MetricCondition | LogCondition | BurnRate | CompositeCondition


def leaves(expression: Expression) -> tuple[MetricQuery, ...]:
    """Return all metric queries in an expression, from left to right."""
    match expression:
        case MetricQuery():
            return (expression,)
        case Binary(_, left, right):
            return (*leaves(left), *leaves(right))
        case Anomalies():
            return leaves(expression.expression)
        case FunctionCall(_, arguments):
            return tuple(leaf for argument in arguments for leaf in leaves(argument))
        case _:
            return ()
