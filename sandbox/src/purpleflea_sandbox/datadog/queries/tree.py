"""What a query says, as frozen values. Windows are in seconds; `by` holds tag names."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """tag:value, !tag:value, or a template variable ($name), whose value is not known yet."""

    tag: str
    value: str
    negated: bool = False
    variable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One metric: reduced over sources by `aggregator`, filtered, grouped. No filters: everything."""

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
    """In a formula: another query by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Binary:
    """left operator right."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Call:
    """In a formula: a function of expressions."""

    function: str
    arguments: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomalies:
    """1 where the expression leaves its usual band, else 0."""

    expression: "Expression"
    algorithm: str
    deviations: float
    options: tuple[tuple[str, str], ...] = ()


Expression = Series | Number | Name | Binary | Call | Anomalies


@dataclass(frozen=True, slots=True)
class Comparison:
    """The threshold in a monitor's query."""

    operator: str
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricCondition:
    """A metric monitor: the expression, reduced over the window by `aggregation`, compared."""

    aggregation: str
    window_s: int
    expression: Expression
    comparison: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One term of a log search: a tag (`key`), an attribute (`@key`), or a template variable."""

    key: str
    value: str
    attribute: bool = False
    negated: bool = False
    variable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCondition:
    """A log monitor: how many lines of the window match, per group, compared."""

    search: tuple[Term, ...]
    index: str
    by: tuple[str, ...]
    window_s: int
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Member:
    """In a composite: another monitor by its id."""

    id: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Two parts of a composite: && or ||."""

    operator: str
    left: "CompositeCondition"
    right: "CompositeCondition"


@dataclass(frozen=True, slots=True)
class Negated:
    """!part of a composite."""

    part: "CompositeCondition"


CompositeCondition = Member | Joined | Negated


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnRate:
    """How fast an objective's error budget burns, in both windows."""

    slo: str
    over_s: int
    long_window_s: int
    short_window_s: int
    comparison: Comparison


Condition = MetricCondition | LogCondition | BurnRate | CompositeCondition


def leaves(expression: Expression) -> tuple[Series, ...]:
    """All series that an expression asks for, from left to right."""
    match expression:
        case Series():
            return (expression,)
        case Binary(_, left, right):
            return (*leaves(left), *leaves(right))
        case Anomalies():
            return leaves(expression.expression)
        case Call(_, arguments):
            return tuple(leaf for argument in arguments for leaf in leaves(argument))
        case _:
            return ()
