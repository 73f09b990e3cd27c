"""Spans of the library at the trace intake: secrets, errors, sampling."""

import subprocess
import sys
from pathlib import Path

import pytest

from purpleflea_contract import spans
from support.agent_process import AS_IN_THE_IMAGE, AgentFolder
from support.receivers.trace_agent import JsonSpan, TraceAgent

KEY = "pf_live_0123456789abcdef"
USES_SPANS = f"""
from purpleflea_sdk.telemetry import tracing
from purpleflea_contract import spans

with tracing.span(spans.ESCROW_CREATE, counterparty="{KEY}", amount_usd=1) as span:
    span.fail(ValueError("refused: {KEY}"))
with tracing.span(spans.SIGNAL_COMPUTE, market="{KEY}"):
    pass
"""
RULES = '[{"name": "agent.escrow.create", "sample_rate": 1.0}]'


@pytest.fixture
def sent(mounts: AgentFolder, trace_agent: TraceAgent) -> dict[str, JsonSpan]:
    """The spans, by name, of a program that puts a key into tags and errors."""
    trace_agent.clear()
    subprocess.run(
        [str(Path(sys.executable).with_name("ddtrace-run")), sys.executable, "-c", USES_SPANS],
        env={
            "PATH": "/usr/bin:/bin",
            **AS_IN_THE_IMAGE,
            **mounts.environment,
            **trace_agent.environment,
            "DD_TRACE_SAMPLING_RULES": RULES,
        },
        capture_output=True,
        timeout=60,
        check=True,
    )
    names = (spans.ESCROW_CREATE.name, spans.SIGNAL_COMPUTE.name)
    return {name: trace_agent.wait_for(name) for name in names}


def test_a_key_in_a_tag_or_an_error_is_redacted(sent: dict[str, JsonSpan]) -> None:
    assert KEY not in str(sent)
    assert sent["agent.escrow.create"]["meta"]["counterparty"] == "[masked]"
    assert sent["agent.signal.compute"]["resource"] == "momentum/[masked]"


def test_an_error_that_was_never_raised_has_type_message_and_stack(
    sent: dict[str, JsonSpan],
) -> None:
    span = sent["agent.escrow.create"]
    assert span["error"] == 1
    assert span["meta"]["error.type"] == "ValueError"
    assert span["meta"]["error.message"] == "refused: [masked]"
    stack = span["meta"]["error.stack"]
    assert stack.rstrip().endswith("ValueError: refused: [masked]")
    assert 'File "<string>"' in stack


def test_sampling_rules_of_the_environment_apply(sent: dict[str, JsonSpan]) -> None:
    assert sent["agent.escrow.create"]["metrics"]["_dd.rule_psr"] == 1.0
    assert sent["agent.escrow.create"]["meta"]["_dd.p.dm"] == "-3"
    assert "_dd.rule_psr" not in sent["agent.signal.compute"]["metrics"]
