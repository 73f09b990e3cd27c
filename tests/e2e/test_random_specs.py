"""Every spec that the operator accepts has children that a real API server accepts.

The specs are random, from a fixed seed. For each, the children, the last pod and its volume claim are sent as a dry
run, so that nothing is stored. The namespace enforces Pod Security "restricted". A longer run:

    PURPLEFLEA_RANDOM_SPECS=2000 .venv/bin/python -m pytest -q tests/e2e/test_random_specs.py
"""

import asyncio
import os

import pytest

from purpleflea_operator.controllers.agent.decisions.gather import parsed
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Connection,
    ConnectionMode,
)
from purpleflea_operator.kube import credentials
from support.builders import an_agent
from support.child_objects import objects, refusal
from support.random_specs import Generator

NAMESPACE = "random-specs"
SEED = 2026
COUNT = int(os.environ.get("PURPLEFLEA_RANDOM_SPECS", "300"))
CONCURRENT = 8
CONNECTIONS = (
    NO_CONNECTION,
    Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126),
    Connection(
        mode=ConnectionMode.SERVICE,
        host="datadog-agent.datadog.svc.cluster.local",
        dogstatsd_port=8225,
        apm_port=8226,
    ),
)


def accepted_agents():
    """Yield the first agents of the seed whose spec the operator accepts."""
    generator, found = Generator(SEED), 0
    while found < COUNT:
        resource = an_agent(generator.name(), namespace=NAMESPACE, spec=generator.spec())
        agent, _ = parsed(resource)
        if agent is not None:
            found += 1
            yield agent, resource["spec"]


@pytest.fixture
def namespace(sandbox):
    sandbox.namespace(NAMESPACE, with_key=False)
    level = "pod-security.kubernetes.io/enforce=restricted"
    sandbox.tools.kubectl("label", f"namespace/{NAMESPACE}", level, "--overwrite")
    yield NAMESPACE
    sandbox.tools.kubectl("delete", f"namespace/{NAMESPACE}", "--wait=false")


async def refusals():
    info, free = credentials.credentials(), asyncio.Semaphore(CONCURRENT)
    async with credentials.session(info) as session:

        async def check(manifest, spec):
            async with free:
                message = await refusal(session, info.server, manifest)
            return f"{message} of {spec}" if message else ""

        tasks = [
            asyncio.create_task(check(manifest, spec))
            for number, (agent, spec) in enumerate(accepted_agents())
            for manifest in objects(agent, CONNECTIONS[number % len(CONNECTIONS)])
        ]
        return [message for message in await asyncio.gather(*tasks) if message]


@pytest.mark.timeout(600)
def test_the_api_server_accepts_the_children_of_every_accepted_spec(
    sandbox, namespace, monkeypatch
):
    monkeypatch.setenv("KUBECONFIG", str(sandbox.provider.kubeconfig))
    assert asyncio.run(refusals()) == []
