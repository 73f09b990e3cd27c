"""Code that was written for the published integration: its names, its variable, and its formatter."""

import json
import subprocess
import sys

import pytest

from purpleflea_agent import logs, metrics
from purpleflea_sdk.settings import read_environment
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_process import AgentFolder
from support.receivers.dogstatsd import DogStatsdSink

PUBLISHED = """
import logging, sys
from purpleflea_agent.telemetry.metrics import AGENT_ID, BASE_TAGS, STRATEGY, record_pnl, statsd
from purpleflea_agent.telemetry.logs import DDJsonFormatter

handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(DDJsonFormatter())
logger = logging.getLogger("mine")
logger.addHandler(handler)
logger.propagate = False
logger.warning("Balance below threshold", extra={"event": "balance_alert", "balance_usd": 1.5})
statsd.gauge("my.metric", 1, tags=BASE_TAGS + ["market:BTC-USD"])
"""


def test_published_names_have_the_identity_of_the_environment(emitter: Emitter) -> None:
    assert (metrics.AGENT_ID, metrics.STRATEGY) == ("momentum-0", "momentum")
    assert set(metrics.BASE_TAGS) == {
        "agent_id:momentum-0",
        "strategy:momentum",
        "env:test",
        "service:pf-agent",
    }
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        metrics.nosuch  # noqa: B018


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("gauge", "gauge"),
        ("increment", "count"),
        ("histogram", "histogram"),
        ("distribution", "distribution"),
    ],
)
def test_the_published_client_sends_each_tag_once(
    emitter: Emitter, sink: DogStatsdSink, method: str, kind: str
) -> None:
    getattr(metrics.statsd, method)("my.metric", 2, tags=[*metrics.BASE_TAGS, "market:BTC-USD"])
    emitter.flush()
    point = sink.wait_for("my.metric")
    assert (point.type, point.values, point.tag("market")) == (kind, (2.0,), "BTC-USD")
    assert len(point.tag_names) == len(set(point.tag_names))
    assert {"agent_id", "strategy", "env", "service"} <= set(point.tag_names)


def test_published_code_runs_without_a_receiver(mounts: AgentFolder) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PUBLISHED],
        env={"PATH": "/usr/bin:/bin", **mounts.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = [json.loads(text) for text in done.stdout.splitlines() if "Balance below" in text]
    assert (line["agent_id"], line["event"], line["balance_usd"]) == (
        "momentum-0",
        "balance_alert",
        1.5,
    )


@pytest.mark.parametrize(
    ("variables", "agent_id"),
    [
        ({"AGENT_ID": "from-the-page"}, "from-the-page"),
        ({"AGENT_ID": "from-the-page", "PURPLEFLEA_AGENT_ID": "ours"}, "ours"),
        ({"AGENT_ID": "from-the-page", "PURPLEFLEA_AGENT_ID": ""}, "from-the-page"),
    ],
)
def test_the_variable_of_the_published_manifest_is_read_if_ours_is_not_set(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], agent_id: str
) -> None:
    monkeypatch.delenv("PURPLEFLEA_AGENT_ID", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert read_environment().agent_id == agent_id


def test_the_published_formatter_takes_no_argument(emitter: Emitter) -> None:
    assert isinstance(logs.DDJsonFormatter(), logs.JsonFormatter)
