import pytest

from purpleflea_contract import metrics, spans, tags
from purpleflea_contract.spans import Span
from purpleflea_operator.datadog.definitions import notification_targets, queries
from purpleflea_operator.datadog.definitions.queries import of_metric, of_span, series
from purpleflea_sandbox.datadog.queries import read, tree


def test_a_count_is_queried_as_a_count():
    text = series(of_metric(metrics.HEARTBEAT), "sum", ["env:production"], by=(tags.AGENT_ID,))
    assert text == "sum:agent.heartbeat{env:production} by {agent_id}.as_count()"


def test_a_tag_that_the_metric_does_not_have_is_refused():
    with pytest.raises(ValueError, match=r"agent.heartbeat has no tag market"):
        series(of_metric(metrics.HEARTBEAT), "sum", [], by=(tags.MARKET,))


def test_a_value_that_is_never_sent_is_refused():
    with pytest.raises(ValueError, match="tag success never has the value 'no'"):
        series(of_metric(metrics.API_REQUESTS), "sum", [], where={tags.SUCCESS: "no"})


def test_only_a_measured_span_has_a_metric():
    span = Span(name="x", resource="x", tags=(), description="x", measured=False)
    with pytest.raises(ValueError, match="span x is not measured"):
        of_span(span)
    assert of_span(spans.ORDER_EXECUTE).name == "trace.agent.order.execute"


def test_a_threshold_is_written_without_trailing_zeros():
    assert [queries.number(value) for value in (15.0, 14.4, 0.5)] == ["15", "14.4", "0.5"]


@pytest.mark.parametrize(
    ("target", "handle"),
    [
        (notification_targets.Slack(channel="alerts"), "@slack-alerts"),
        (notification_targets.Slack(account="acme", channel="alerts"), "@slack-acme-alerts"),
        (notification_targets.PagerDuty(service="trading"), "@pagerduty-trading"),
        (notification_targets.Webhook(name="halt"), "@webhook-halt"),
        (notification_targets.OnCall(team="trading"), "@oncall-trading"),
        (notification_targets.Incident(name="sev-2"), "@incident-sev-2"),
        (
            notification_targets.Workflow(name="halt-agent"),
            '@workflow-halt-agent(agent_id="{{agent_id.name}}")',
        ),
        (notification_targets.Email(address="a@example.com"), "@a@example.com"),
    ],
)
def test_a_target_has_the_handle_that_datadog_reads(target, handle):
    assert target.handle == handle


def test_multiplication_precedes_addition():
    parsed = read.series("sum:a{*} + sum:b{*} * 2")
    assert parsed == tree.Binary(
        "+",
        tree.MetricQuery(aggregator="sum", metric="a"),
        tree.Binary("*", tree.MetricQuery(aggregator="sum", metric="b"), tree.Number(2.0)),
    )


def test_filters_may_be_negated_or_variable():
    parsed = read.series("avg:a{!env:dev,$agent_id,market:btc-usd}")
    assert parsed.filters == (
        tree.Filter(tag="env", value="dev", negated=True),
        tree.Filter(tag="agent_id", value="", variable=True),
        tree.Filter(tag="market", value="btc-usd"),
    )


def test_a_composite_may_nest_and_negate():
    parsed = read.condition("(1 || 2) && !3", "composite")
    either = tree.Joined("||", tree.Member("1"), tree.Member("2"))
    assert parsed == tree.Joined("&&", either, tree.Negated(tree.Member("3")))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "query alert"),
        ("max(last_5m):max:a{x:1} > 1", "rum alert"),
        ("max(last_5m):max:a{x:1}", "query alert"),
        ("max(last_5m):max:a{x:1} > high", "query alert"),
        ("max(last_5m):median:a{x:1} > 1", "query alert"),
        ("max(last_5x):max:a{x:1} > 1", "query alert"),
        ("max(last_5m):top(max:a{x:1}, 10) > 1", "query alert"),
        ("max(last_5m):max:a{x:1} by agent > 1", "query alert"),
        ("max(last_5m):max:a{x:} > 1", "query alert"),
        ("1 and 2", "composite"),
        ("<monitor:x> && 2", "composite"),
        ('logs("a:b").index("*").rollup("avg").last("5m") > 1', "log alert"),
        ('logs("a:b").index("*").rollup("count").last("soon") > 1', "log alert"),
        ('logs("free text").index("*").rollup("count").last("5m") > 1', "log alert"),
        ('burn_rate("1").over("30d") > 14.4', "slo alert"),
    ],
)
def test_unreadable_queries_are_refused(text, kind):
    with pytest.raises(read.UnreadableError):
        read.condition(text, kind)
