"""The real DogStatsD client, over real sockets, through the node agent to the intake."""

import os
from pathlib import Path

import aiohttp
from datadog.dogstatsd import DogStatsd

from purpleflea_sandbox.datadog.node_agent.app import Ports


def client(ports: Ports, **options) -> DogStatsd:
    return DogStatsd(host="127.0.0.1", port=ports.dogstatsd, disable_telemetry=True, **options)


async def test_metrics_of_the_real_client_arrive_with_the_tags_of_its_pod(
    start_agent, intake, momentum_pod, eventually, monkeypatch
) -> None:
    monkeypatch.setenv("DD_ENTITY_ID", momentum_pod.uid)
    monkeypatch.setenv("DD_ENV", "prod")

    async with start_agent(host_tags=("team:trading",)) as (_, ports):
        statsd = client(ports)
        statsd.gauge("agent.trade.pnl_usd", 12.5, tags=["market:BTC-USD", "agent_id:momentum-0"])
        for milliseconds in range(1, 101):
            statsd.distribution("agent.order.latency_ms", milliseconds)
        statsd.increment("agent.order.executions_total", 3)
        statsd.flush()
        statsd.close_socket()
        (pnl,) = await eventually(lambda: intake.store.series.find("agent.trade.pnl_usd"))
        (latency,) = await eventually(lambda: intake.store.series.find("agent.order.latency_ms"))

    assert pnl.tags == (
        "agent_id:momentum-0",
        "env:prod",
        "kube_namespace:trading",
        "kube_stateful_set:momentum",
        "market:btc-usd",
        "service:pf-agent",
        "strategy:momentum",
        "team:trading",
        "version:1.4.2",
    )
    assert [value for _, value in pnl.points] == [12.5]
    assert latency.total == 100
    (orders,) = intake.store.series.find("agent.order.executions_total")
    assert (orders.type, orders.total) == ("count", 3.0)


async def test_unix_socket_accepts_clients_of_any_user(
    start_agent, intake, eventually, tmp_path: Path
) -> None:
    path = tmp_path / "datadog" / "dsd.socket"

    async with start_agent(dogstatsd_socket=path):
        assert path.stat().st_mode & 0o777 == 0o722
        statsd = DogStatsd(socket_path=str(path), disable_telemetry=True, disable_buffering=True)
        statsd.gauge("from.unix", 1)
        statsd.close_socket()
        await eventually(lambda: intake.store.series.find("from.unix"))

    assert not path.exists()


async def test_events_and_service_checks_arrive(start_agent, intake, eventually) -> None:
    async with start_agent() as (_, ports):
        statsd = client(ports, disable_buffering=True)
        statsd.event("rollout", "of 1.4.2", tags=["a:b"], aggregation_key="k")
        statsd.service_check("exchange.up", 2, message="gone")
        statsd.close_socket()
        await eventually(lambda: intake.store.events and intake.store.checks)

    assert intake.store.events[0]["title"] == "rollout"
    assert intake.store.events[0]["aggregation_key"] == "k"
    (check,) = intake.store.checks.find("exchange.up")
    assert (check.status, check.message) == (2, "gone")


async def test_data_in_memory_is_sent_at_shutdown(start_agent, intake, eventually) -> None:
    async with start_agent(flush_interval_s=60) as (agent, ports):
        statsd = client(ports, disable_buffering=True)
        statsd.gauge("last.value", 1)
        statsd.close_socket()
        await eventually(lambda: agent.counters.get("dogstatsd.packets"))

    assert intake.store.series.find("last.value")


async def test_unreachable_intake_drops_only_the_oldest_data(
    start_agent, intake, session: aiohttp.ClientSession, eventually
) -> None:
    nowhere = "http://127.0.0.1:9"
    async with start_agent(intake_url=nowhere) as (agent, ports):
        await eventually(lambda: agent.forwarder.state()["last_error"])
        async with session.get(f"http://127.0.0.1:{ports.health}/ready") as response:
            assert response.status == 200
        async with session.get(f"http://127.0.0.1:{ports.health}/status") as response:
            status = await response.json()

    assert "Connect" in status["forwarder"]["last_error"]
    assert os.environ.get("DD_ENTITY_ID") is None
