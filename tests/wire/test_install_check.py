"""The test of the chart against a running operator: a fake API server, whose pods become ready and answer."""

import asyncio

import aiohttp
import pytest

from purpleflea_operator import install_check
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.client import HttpKubeClient
from purpleflea_operator.kube.resources import ObjectRef
from support.builders import a_datadog_daemon_set

REF = ObjectRef(kind=resources.AGENT, namespace="purpleflea-system", name="operator-test")


async def checked(url, timeout_s):
    async with aiohttp.ClientSession() as session:
        cluster = HttpKubeClient(url, session)
        await install_check.check(cluster, REF, timeout_s=timeout_s, poll_s=0.1)


@pytest.mark.parametrize("has_datadog", [True, False])
def test_a_working_installation_passes_and_no_agent_is_left(server, an_operator, has_datadog):
    server.put({"apiVersion": "v1", "kind": "Secret", "metadata": secret()})
    if has_datadog:
        server.put(a_datadog_daemon_set(host_ports=True))
    with an_operator():
        asyncio.run(checked(server.url, 60))
    assert server.objects("PurpleFleaAgent") == []


def test_without_an_operator_the_check_fails_and_no_agent_is_left(server):
    with pytest.raises(install_check.CheckError, match=r"read its log|WaitingForOperator"):
        asyncio.run(checked(server.url, 0.5))
    assert server.objects("PurpleFleaAgent") == []


def secret():
    return {"name": REF.name, "namespace": REF.namespace}
