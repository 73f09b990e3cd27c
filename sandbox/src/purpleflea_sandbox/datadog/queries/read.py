"""Parse texts to trees. If the grammar does not accept a text, UnreadableError is raised with the position."""

from functools import cache
from importlib import resources
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput
from lark.exceptions import VisitError

from purpleflea_sandbox.datadog.queries import tree

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
CONDITIONS = {
    "query alert": "metric_condition",
    "metric alert": "metric_condition",
    "log alert": "log_condition",
    "slo alert": "burn_condition",
    "composite": "composite",
}
STARTS = [*sorted(set(CONDITIONS.values())), "expression", "formula", "search"]


class UnreadableError(ValueError):
    """The text is not a supported query."""


def condition(text: str, kind: str) -> tree.Condition:
    """Parse the query of a monitor of type `kind`."""
    if kind not in CONDITIONS:
        raise UnreadableError(f"monitors of type {kind!r} are not supported")
    parsed: tree.Condition = _parsed(text, CONDITIONS[kind])
    return parsed


def series(text: str) -> tree.Expression:
    """Parse the query of a widget or an SLO."""
    parsed: tree.Expression = _parsed(text, "expression")
    return parsed


def formula(text: str) -> tree.Expression:
    """Parse a widget's formula over named queries."""
    parsed: tree.Expression = _parsed(text, "formula")
    return parsed


def search(text: str) -> tuple[tree.Term, ...]:
    """Parse a log search: terms that all have to match."""
    parsed: tuple[tree.Term, ...] = _parsed(text, "search")
    return parsed


def seconds(text: str) -> int:
    """Return the seconds of a duration such as 5m, 1h or 30d."""
    if not text[:-1].isdigit() or text[-1] not in SECONDS:
        raise UnreadableError(f"{text!r} is not a duration such as 5m")
    return int(text[:-1]) * SECONDS[text[-1]]


def _parsed(text: str, start: str) -> Any:
    try:
        return _Tree().transform(_parser().parse(text, start=start))
    except UnexpectedInput as error:
        near = error.get_context(text, span=20).strip() if text else "(empty)"
        raise UnreadableError(f"unreadable query at column {error.column}:\n{near}") from error
    except VisitError as error:
        raise UnreadableError(str(error.orig_exc)) from error


@cache
def _parser() -> Lark:
    text = resources.files(__package__).joinpath("grammar.lark").read_text()
    return Lark(text, parser="lalr", start=STARTS, maybe_placeholders=False)


class _Tree(Transformer[Token, Any]):
    """One method per rule of the grammar."""

    def metric_condition(self, parts: list[Any]) -> tree.MetricCondition:
        aggregation, window, expression, comparison = parts
        return tree.MetricCondition(
            aggregation=str(aggregation),
            window_s=seconds(window.removeprefix("last_")),
            expression=expression,
            comparison=comparison,
        )

    def log_condition(self, parts: list[Any]) -> tree.LogCondition:
        text, index, _, by, window, comparison = parts
        return tree.LogCondition(
            search=search(_unquoted(text)),
            index=_unquoted(index),
            by=by,
            window_s=seconds(_unquoted(window)),
            comparison=comparison,
        )

    def burn_condition(self, parts: list[Any]) -> tree.BurnRate:
        slo, over, long_window, short_window, comparison = parts
        return tree.BurnRate(
            slo=_unquoted(slo),
            over_s=seconds(_unquoted(over)),
            long_window_s=seconds(_unquoted(long_window)),
            short_window_s=seconds(_unquoted(short_window)),
            comparison=comparison,
        )

    def by_fields(self, parts: list[Any]) -> tuple[str, ...]:
        return tuple(name for part in parts for name in _unquoted(part).split(","))

    def comparison(self, parts: list[Any]) -> tree.Comparison:
        return tree.Comparison(str(parts[0]), float(parts[1]))

    def binary(self, parts: list[Any]) -> tree.Binary:
        left, operator, right = parts
        return tree.Binary(str(operator), left, right)

    def number(self, parts: list[Any]) -> tree.Number:
        return tree.Number(float(parts[0]))

    def series(self, parts: list[Any]) -> tree.MetricQuery:
        aggregator, metric, filters, by, *counted = parts
        return tree.MetricQuery(
            aggregator=str(aggregator),
            metric=str(metric),
            filters=filters,
            by=by,
            as_count=bool(counted),
        )

    def filters(self, parts: list[Any]) -> tuple[tree.Filter, ...]:
        return tuple(parts)

    def filter(self, parts: list[Any]) -> tree.Filter:
        tag, _, value = parts[0].partition(":")
        return tree.Filter(tag=tag.lstrip("!"), value=value, negated=tag.startswith("!"))

    def variable(self, parts: list[Any]) -> tree.Filter:
        return tree.Filter(tag=parts[0].removeprefix("$"), value="", variable=True)

    def grouping(self, parts: list[Any]) -> tuple[str, ...]:
        return tuple(map(str, parts))

    def threshold(self, parts: list[Any]) -> tree.FunctionCall:
        name, expression, number = parts
        return tree.FunctionCall(str(name), (expression, tree.Number(float(number))))

    def anomalies(self, parts: list[Any]) -> tree.Anomalies:
        expression, algorithm, deviations, *options = parts
        return tree.Anomalies(
            expression=expression,
            algorithm=_unquoted(algorithm),
            deviations=float(deviations),
            options=tuple(options),
        )

    def option(self, parts: list[Any]) -> tuple[str, str]:
        return str(parts[0]), _unquoted(parts[1])

    def name(self, parts: list[Any]) -> tree.Name:
        return tree.Name(str(parts[0]))

    def call(self, parts: list[Any]) -> tree.FunctionCall:
        return tree.FunctionCall(str(parts[0]), tuple(parts[1:]))

    def member(self, parts: list[Any]) -> tree.Member:
        return tree.Member(str(parts[0]))

    def joined(self, parts: list[Any]) -> tree.Joined:
        left, operator, right = parts
        return tree.Joined(str(operator), left, right)

    def negated(self, parts: list[Any]) -> tree.Negated:
        return tree.Negated(parts[0])

    def search(self, parts: list[Any]) -> tuple[tree.Term, ...]:
        return tuple(parts)

    def term(self, parts: list[Any]) -> tree.Term:
        key, _, value = parts[0].partition(":")
        name = key.removeprefix("-")
        return tree.Term(
            key=name.removeprefix("@"),
            value=value,
            attribute=name.startswith("@"),
            negated=key.startswith("-"),
        )

    def search_variable(self, parts: list[Any]) -> tree.Term:
        return tree.Term(key=parts[0].removeprefix("$"), value="", variable=True)


def _unquoted(token: str) -> str:
    return token.strip("\"'")
