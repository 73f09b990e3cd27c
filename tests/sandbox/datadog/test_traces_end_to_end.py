"""The real tracer, through Datadog's own test agent, to the intake."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgpack
import pytest

from purpleflea_sandbox.datadog.node_agent.traces import UndecodableError, decoded

TRACED = """
import json
from ddtrace.trace import tracer
with tracer.trace("agent.trading.interval", resource="momentum") as root:
    root.set_tag("agent_id", "momentum-0")
    with tracer.trace("agent.order.execute", resource="market/BTC-USD/buy") as child:
        child.set_tag("market", "BTC-USD")
        child.set_metric("latency_ms", 12.5)
print(json.dumps({"trace_id": f"{root.trace_id:032x}", "child": child.span_id}))
tracer.shutdown()
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@asynccontextmanager
async def trace_agent(port: int, forward_to: int, folder: Path) -> AsyncIterator[None]:
    """Run Datadog's test agent with the arguments of the chart."""
    otlp_http, otlp_grpc = free_ports(2)
    command = Path(sys.executable).with_name("ddapm-test-agent")
    process = await asyncio.create_subprocess_exec(
        str(command),
        f"--port={port}",
        f"--otlp-http-port={otlp_http}",
        f"--otlp-grpc-port={otlp_grpc}",
        f"--agent-url=http://127.0.0.1:{forward_to}",
        "--disable-llmobs-data-forwarding",
        "--log-level=WARNING",
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def traced(port: int, **variables: str) -> dict[str, str]:
    """Run the traced program and return its output."""
    environment = {
        **os.environ,
        "DD_TRACE_AGENT_URL": f"http://127.0.0.1:{port}",
        "DD_ENV": "prod",
        "DD_SERVICE": "pf-agent",
        "DD_VERSION": "1.4.2",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        **variables,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", TRACED, env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return json.loads(output)


async def answers(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/info") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def test_trace_of_the_real_tracer_arrives_complete_with_pod_tags(
    start_agent, intake, session, momentum_pod, eventually, tmp_path
) -> None:
    apm, forward = free_ports(2)
    external = f"it-false,cn-agent,pu-{momentum_pod.uid}"
    running = start_agent(
        trace_listen_port=forward, apm_enabled=True, trace_agent_url=f"http://127.0.0.1:{apm}"
    )
    async with running, trace_agent(apm, forward, tmp_path):
        await eventually(lambda: answers(session, apm))
        printed = await traced(apm, DD_EXTERNAL_ENV=external)
        trace = await eventually(lambda: intake.store.traces.get(printed["trace_id"]))

    child = trace.spans[printed["child"]]
    assert {span["name"] for span in trace.spans.values()} == {
        "agent.trading.interval",
        "agent.order.execute",
    }
    assert (child["service"], child["meta"]["market"]) == ("pf-agent", "BTC-USD")
    assert child["metrics"]["latency_ms"] == 12.5
    assert {"strategy:momentum", "pod_name:momentum-0", "env:prod"} <= set(trace.tags)
    for tags in (["market:BTC-USD"], ["agent_id:momentum-0", "strategy:momentum"]):
        assert intake.store.traces.find(tags=tags) == [trace]


async def test_trace_sent_while_the_node_agent_was_down_is_recovered_once(
    start_agent, intake, session, eventually, tmp_path
) -> None:
    apm, forward = free_ports(2)
    async with trace_agent(apm, forward, tmp_path):
        # /info is forwarded too, and fails until the server listens.
        await eventually(lambda: socket_open(apm))
        printed = await traced(apm)

        running = start_agent(
            trace_listen_port=forward, apm_enabled=True, trace_agent_url=f"http://127.0.0.1:{apm}"
        )
        async with running:
            trace = await eventually(lambda: intake.store.traces.get(printed["trace_id"]))
            kept = f"http://127.0.0.1:{apm}/test/session/requests"

            async def is_empty() -> bool:
                async with session.get(kept) as response:
                    return await response.json() == []

            await eventually(is_empty)

    assert len(trace.spans) == 2
    assert len(intake.store.traces) == 1


async def socket_open(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


def test_both_common_payload_versions_are_decoded() -> None:
    span = {
        "name": "n",
        "service": "s",
        "resource": "r",
        "trace_id": 1,
        "span_id": 2,
        "parent_id": 0,
    }
    times = {
        "start": 10,
        "duration": 5,
        "error": 0,
        "meta": {"k": "v"},
        "metrics": {"m": 1.5},
        "type": "",
    }
    table = ["", "s", "n", "r", "k", "v", "m"]
    fifth = [table, [[[1, 2, 3, 1, 2, 0, 10, 5, 0, {4: 5}, {6: 1.5}, 0]]]]

    old = decoded("v0.4", "application/msgpack", msgpack.packb([[{**span, **times}]]))
    new = decoded("v0.5", "application/msgpack", msgpack.packb(fifth))

    assert old[0][0]["meta"] == new[0][0]["meta"] == {"k": "v"}
    assert old[0][0]["span_id"] == new[0][0]["span_id"] == 2


@pytest.mark.parametrize(
    ("version", "body"),
    [("v0.4", b"\xc1"), ("v0.5", b"\x90"), ("v0.4", b""), ("v9", b""), ("v0.7", b"\x01")],
)
def test_invalid_payload_is_rejected_with_the_reason(version: str, body: bytes) -> None:
    with pytest.raises(UndecodableError):
        decoded(version, "application/msgpack", body)


async def test_a_malformed_payload_is_accepted_and_counted(start_agent, session) -> None:
    async with start_agent() as (agent, ports):
        url = f"http://127.0.0.1:{ports.traces}/v0.5/traces"
        async with session.put(url, data=b"\xc1") as response:
            assert (response.status, await response.json()) == (
                200,
                {"rate_by_service": {"service:,env:": 1.0}},
            )

    assert agent.counters.get("traces.malformed") == 1
