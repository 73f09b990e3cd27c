"""Checks from the annotation to the intake: the real check, on the base classes of Datadog, in the node agent."""

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from purpleflea_sandbox.datadog import servers
from purpleflea_sandbox.datadog.node_agent.pods import Container, Pod, Port
from support.agent_process import AgentFolder, AgentProcess
from support.exchange_double import ExchangeDouble

CAN_CONNECT = "purpleflea.agent.can_connect"
STATUS = json.loads((Path(__file__).parents[2] / "check" / "status.json").read_text())
EXPOSED = """\
# HELP agent_orders_total Orders.
# TYPE agent_orders_total counter
agent_orders_total{market="btc-usd"} %d
# HELP agent_equity_usd Equity.
# TYPE agent_equity_usd gauge
agent_equity_usd 10004.25
"""


async def eventually(condition):
    async with asyncio.timeout(30):
        while True:
            if result := condition():
                return result
            await asyncio.sleep(0.05)


class Answers:
    """The HTTP API of an agent."""

    def __init__(self) -> None:
        self.orders = 100
        self.hang = asyncio.Event()
        self.hang.set()

    def app(self) -> web.Application:
        async def status(_: web.Request) -> web.Response:
            await self.hang.wait()
            return web.json_response(STATUS)

        async def exposed(_: web.Request) -> web.Response:
            self.orders += 5
            return web.Response(text=EXPOSED % self.orders)

        app = web.Application()
        app.router.add_get("/v1/status", status)
        app.router.add_get("/metrics", exposed)
        return app


@pytest.fixture
async def answers() -> AsyncIterator[tuple[Answers, int]]:
    one = Answers()
    async with servers.served(one.app(), "127.0.0.1", 0) as port:
        yield one, port
        one.hang.set()


def annotated(port: int, checks: dict, *, is_ready: bool = True, **annotations: str) -> Pod:
    return Pod(
        uid="uid-momentum-0",
        namespace="trading",
        name="momentum-0",
        labels={"tags.datadoghq.com/env": "prod", "tags.datadoghq.com/service": "pf"},
        annotations={
            "ad.datadoghq.com/tags": '{"team": "desk"}',
            "ad.datadoghq.com/agent.checks": json.dumps(checks),
            **annotations,
        },
        containers=(
            Container(
                name="agent",
                id="c0ffee",
                image="localhost/purpleflea-agent:0.1.0",
                ports=(Port(number=port, name="http"),),
            ),
        ),
        address="127.0.0.1",
        is_ready=is_ready,
    )


def every_second(**instance) -> dict:
    return {"instances": [{"min_collection_interval": 1, **instance}]}


def the_check(**more) -> dict:
    instance = {"url": "http://%%host%%:%%port%%", "tags": ["agent_id:%%kube_pod_name%%"]}
    return {"purpleflea_agent": every_second(**instance, **more)}


async def test_the_check_runs_by_annotation_and_reports_with_the_tags_of_the_pod(start, answers):
    async with start() as stand_in:
        stand_in.pods.put(annotated(answers[1], the_check()))
        await eventually(lambda: stand_in.store.series.find("purpleflea.agent.equity_usd"))

        (series,) = (await stand_in.received("metrics?name=purpleflea.agent.equity_usd"))["series"]
        assert (series["points"][-1][1], series["type"]) == (10004.25, "gauge")
        expected = {"agent_id:momentum-0", "strategy:momentum", "env:prod", "service:pf"}
        assert expected | {"team:desk"} <= set(series["tags"])
        question = f"checks?name={CAN_CONNECT}&tag=agent_id:momentum-0&tag=team:desk"
        (check,) = (await stand_in.received(question))["checks"]
        assert (check["status"], check["host"]) == (0, "node-1")
        assert (await stand_in.received(f"checks?name={CAN_CONNECT}&tag=agent_id:x"))[
            "checks"
        ] == []
        (own,) = stand_in.store.checks.find("datadog.agent.check_status")
        assert (own.status, own.tags) == (0, ("check:purpleflea_agent",))


async def test_a_crashed_agent_is_critical_and_recovers_with_the_same_tags(start, answers):
    port = answers[1]
    async with start() as stand_in:
        other = Answers()
        async with servers.served(other.app(), "127.0.0.1", 0) as dying:
            stand_in.pods.put(annotated(dying, the_check()))
            await eventually(lambda: [c.status for c in stand_in.store.checks.find(CAN_CONNECT)])
        await eventually(lambda: [c.status for c in stand_in.store.checks.find(CAN_CONNECT)] == [2])
        (check,) = stand_in.store.checks.find(CAN_CONNECT)
        assert "does not answer" in check.message
        await eventually(lambda: stand_in.count("checks.failed"))
        async with servers.served(other.app(), "127.0.0.1", dying):
            await eventually(
                lambda: [c.status for c in stand_in.store.checks.find(CAN_CONNECT)] == [0]
            )
        assert [status for _, status in check.changes] == [0, 2, 0]
        assert dying != port


async def test_openmetrics_runs_on_datadogs_own_base_class(start, answers):
    instance = {
        "openmetrics_endpoint": "http://%%host%%:%%port_http%%/metrics",
        "namespace": "purpleflea",
        "metrics": [".+"],
    }
    async with start() as stand_in:
        stand_in.pods.put(annotated(answers[1], {"openmetrics": every_second(**instance)}))
        find = stand_in.store.series.find
        await eventually(lambda: find("purpleflea.agent_orders.count", ["team:desk"]))

        (counted,) = find("purpleflea.agent_orders.count", ["market:btc-usd"])
        assert counted.type == "count"
        await eventually(lambda: counted.total >= 10)
        assert counted.total % 5 == 0  # the increase, not the total on the page
        assert find("purpleflea.agent_equity_usd")[0].type == "gauge"
        (health,) = stand_in.store.checks.find("purpleflea.openmetrics.health")
        assert health.status == 0


async def test_a_pod_that_is_not_ready_is_checked_only_with_the_annotation(start, answers):
    tolerated = {"ad.datadoghq.com/tolerate-unready": "true"}
    unready = annotated(answers[1], the_check(), is_ready=False)
    asking = dataclasses.replace(
        unready, uid="uid-asking", name="asking-0", annotations=unready.annotations | tolerated
    )
    async with start() as stand_in:
        stand_in.pods.put(unready)
        stand_in.pods.put(asking)
        await eventually(lambda: stand_in.count("checks.runs"))
        shown = stand_in.agent._status()["checks"]["instances"]
        assert [one["pod"] for one in shown] == ["trading/asking-0"]


async def test_the_checks_of_a_deleted_pod_are_removed(start, answers):
    async with start() as stand_in:
        stand_in.pods.put(annotated(answers[1], the_check()))
        await eventually(lambda: stand_in.count("checks.runs"))
        stand_in.pods.remove("uid-momentum-0")
        await eventually(lambda: not stand_in.agent._status()["checks"]["instances"])


CHECKS_OF_OTHERS = {
    "leaves": "raise SystemExit(3)",
    "prints": "print('not an answer'); self.gauge('x.printed', 1)",
    "dies": "import os; os._exit(3)",
    "sleeps": "import time; time.sleep(60)",
    "floods": "[self.gauge('x.flood', n, tags=[f'n:{n}']) for n in range(20_000)]",
    "odd": "self.gauge('x.nan', float('nan')); self.service_check('x.odd', 1, message='hm')",
}


@pytest.fixture
def checks_d(tmp_path: Path) -> Path:
    folder = tmp_path / "checks.d"
    folder.mkdir()
    for name, body in CHECKS_OF_OTHERS.items():
        (folder / f"{name}.py").write_text(
            "from datadog_checks.base import AgentCheck\n\n"
            f"class Check(AgentCheck):\n    def check(self, instance):\n        {body}\n"
        )
    (folder / "broken.py").write_text("import nothing_of_this_name\n")
    return folder


async def test_a_failing_check_does_not_affect_the_others(start, checks_d):
    names = [*(name for name in CHECKS_OF_OTHERS if name not in ("dies", "sleeps")), "broken"]
    checks = {name: every_second() for name in [*names, "not_there", "../etc"]}
    async with start(checks_d=checks_d) as stand_in:
        stand_in.pods.put(annotated(1, checks))
        await eventually(lambda: stand_in.store.series.find("x.printed"))
        await eventually(lambda: stand_in.count("checks.dropped") >= 10_000)
        await eventually(lambda: stand_in.store.checks.find("x.odd"))

        def errors():
            shown = stand_in.agent._status()["checks"]["instances"]
            return {one["id"].split(":")[0]: one["error"] for one in shown if one["runs"]}

        await eventually(lambda: len(errors()) == len(checks))
        assert errors()["leaves"] == "SystemExit: 3"
        assert "No module named 'nothing_of_this_name'" in errors()["broken"]
        assert "check not_there was not found" in errors()["not_there"]
        assert "invalid check name" in errors()["../etc"]
        assert not errors()["prints"]
        assert stand_in.count("checks.not_finite")
        assert not stand_in.store.series.find("x.nan")
        assert stand_in.count("checks.runner_starts") == 1


async def test_a_check_that_kills_its_process_interrupts_the_others_briefly(start, checks_d):
    async with start(checks_d=checks_d) as stand_in:
        stand_in.pods.put(annotated(1, {"dies": every_second(), "prints": every_second()}))
        await eventually(lambda: stand_in.count("checks.runner_starts") >= 2)
        await eventually(lambda: stand_in.store.series.find("x.printed"))
        await eventually(lambda: stand_in.count("checks.failed"))
        shown = stand_in.agent._status()["checks"]["instances"]
        assert {one["id"].split(":")[0] for one in shown if one["error"]} == {"dies"}


async def test_a_hanging_check_does_not_delay_the_exit(start, checks_d, answers):
    one, port = answers
    one.hang.clear()
    async with start(checks_d=checks_d) as stand_in:
        stand_in.pods.put(annotated(port, {"sleeps": every_second()}))
        await eventually(lambda: stand_in.count("checks.runner_starts"))
        began = time.monotonic()
    assert time.monotonic() - began < 5


async def test_a_file_of_conf_d_checks_all_containers_of_an_image(start, answers, tmp_path):
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "purpleflea_agent.yaml").write_text(
        "ad_identifiers: [purpleflea-agent]\n"
        "instances:\n  - {url: 'http://%%host%%:%%port%%', min_collection_interval: 1}\n"
    )
    (folder / "broken.yaml").write_text("instances: 3\n")
    pod = annotated(answers[1], {})
    plain = {k: v for k, v in pod.annotations.items() if not k.endswith(".checks")}
    async with start() as stand_in:
        stand_in.pods.put(dataclasses.replace(pod, annotations=plain))
        await eventually(lambda: stand_in.store.checks.find(CAN_CONNECT, ["team:desk"]))


async def test_the_real_agent_is_checked(start, tmp_path):
    with ExchangeDouble() as exchange:
        # The operator sets this for an agent with the check.
        api = {"endpoints": exchange.endpoints, "statusAccess": "Network"}
        folder = AgentFolder(tmp_path / "agent", exchange.endpoints, api=api)
        with AgentProcess(folder, {"DD_TRACE_ENABLED": "false"}) as agent:
            await asyncio.to_thread(agent.wait_until_ready)
            port = agent.http.base_url.port
            assert port is not None
            async with start() as stand_in:
                stand_in.pods.put(annotated(port, the_check()))
                find = stand_in.store.series.find
                await eventually(lambda: find("purpleflea.agent.balance_usd", ["team:desk"]))
                assert find("purpleflea.agent.mode", ["mode:active"])[0].points.last()[1] == 1
                (check,) = stand_in.store.checks.find(CAN_CONNECT)
                assert check.status == 0
