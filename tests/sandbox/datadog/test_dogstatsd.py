"""DogStatsD wire format, line by line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_sandbox.datadog.dogstatsd import (
    Event,
    Metric,
    MetricType,
    Origin,
    ServiceCheck,
    parse,
)

METRICS = {
    "a gauge": (b"a.b:1.5|g", Metric(name="a.b", type=MetricType.GAUGE, values=(1.5,))),
    "a negative gauge": (b"a:-2|g", Metric(name="a", type=MetricType.GAUGE, values=(-2.0,))),
    "a sampled count": (
        b"a:1|c|@0.5|#x:y,z",
        Metric(name="a", type=MetricType.COUNT, values=(1.0,), rate=0.5, tags=("x:y", "z")),
    ),
    "many values": (
        b"a:1:2:3|d|#m:btc",
        Metric(name="a", type=MetricType.DISTRIBUTION, values=(1.0, 2.0, 3.0), tags=("m:btc",)),
    ),
    "a set": (b"a:u1:u2|s", Metric(name="a", type=MetricType.SET, members=("u1", "u2"))),
    "a timer": (b"a:320|ms", Metric(name="a", type=MetricType.TIMER, values=(320.0,))),
    "a histogram": (b"a:3|h", Metric(name="a", type=MetricType.HISTOGRAM, values=(3.0,))),
    "a timestamp": (
        b"a:1|g|T1656581400",
        Metric(name="a", type=MetricType.GAUGE, values=(1.0,), timestamp=1656581400),
    ),
    "every field": (
        b"a:1|g|#dd.internal.entity_id:U|c:ci-abc|e:it-false,cn-agent,pu-U|card:low",
        Metric(
            name="a",
            type=MetricType.GAUGE,
            values=(1.0,),
            tags=("dd.internal.entity_id:U",),
            origin=Origin(container="ci-abc", external="it-false,cn-agent,pu-U", cardinality="low"),
        ),
    ),
    "an unknown field": (b"a:1|g|q:new", Metric(name="a", type=MetricType.GAUGE, values=(1.0,))),
}


@pytest.mark.parametrize(("line", "metric"), METRICS.values(), ids=METRICS)
def test_metric_is_parsed_with_all_fields(line: bytes, metric: Metric) -> None:
    datagram = parse(line)

    assert datagram.packets == (metric,)
    assert datagram.malformed == 0


@pytest.mark.parametrize(
    "line",
    [
        b"a",
        b"a:1",
        b":1|g",
        b"a:|g",
        b"a:x|g",
        b"a:1|q",
        b"a:nan|g",
        b"a:inf|g",
        b"a:1|c|@0",
        b"a:1|c|@2",
        b"a:1|c|@x",
        b"a:1|d|T12",
        b"a:1|g|T-1",
        b"_e{1,1}:a|bb|#x",
        b"_e{9,9}:a|b",
        b"_e{a,b}:a|b",
        b"_e{1}:a|b",
        b"_sc|name",
        b"_sc|name|7",
        b"_sc||1",
        b"\xff\xfe",
    ],
)
def test_malformed_line_is_counted_and_other_lines_are_kept(line: bytes) -> None:
    datagram = parse(b"ok:1|c\n" + line + b"\n\nok:2|c\n")

    assert [packet.name for packet in datagram.packets if isinstance(packet, Metric)] == ["ok"] * 2
    assert datagram.malformed == 1


def test_event_text_may_contain_bars_and_newlines() -> None:
    title, text = "rollout | of 1.4.2 ä", "line one\\nline|two"
    head = f"_e{{{len(title.encode())},{len(text.encode())}}}:{title}|{text}"

    (event,) = parse(f"{head}|d:12|h:node|k:key|p:low|s:ci|t:success|#a:b,c".encode()).packets

    assert event == Event(
        title=title,
        text="line one\nline|two",
        tags=("a:b", "c"),
        timestamp=12,
        fields={
            "host": "node",
            "aggregation_key": "key",
            "priority": "low",
            "source_type_name": "ci",
            "alert_type": "success",
        },
    )


def test_service_check_is_parsed_with_its_message() -> None:
    (check,) = parse(b"_sc|exchange.up|2|d:12|h:node|#z:1|m:it is m\\:gone\\nfor good").packets

    assert check == ServiceCheck(
        name="exchange.up",
        status=2,
        message="it is m:gone\nfor good",
        tags=("z:1",),
        timestamp=12,
        hostname="node",
    )


@given(st.binary(max_size=200))
def test_no_datagram_raises(data: bytes) -> None:
    parse(data)
