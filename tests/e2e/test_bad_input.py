import functools
import json

import pytest

from purpleflea_sandbox.demo.errors import DemoError
from support import waiting
from support.builders import a_spec

# Each look at the cluster is a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=30)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]


def manifest(name="probe", **changes):
    return json.dumps(
        {
            "apiVersion": "purpleflea.com/v1alpha1",
            "kind": "PurpleFleaAgent",
            "metadata": {"name": name},
            "spec": a_spec(**changes),
        }
    )


@pytest.fixture(scope="module")
def namespace(sandbox):
    return sandbox.namespace("bad-input")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stratgy": "x"}, 'unknown field "spec.stratgy"'),
        ({"replicas": -1}, "spec.replicas"),
        ({"replicas": 1001}, "spec.replicas"),
        ({"strategy": "Not Valid"}, "spec.strategy"),
        ({"markets": []}, "spec.markets"),
        ({"markets": ["BTC-USD", "BTC-USD"]}, "spec.markets[1]"),
        ({"trading": {"interval": "soon"}}, "spec.trading.interval"),
        ({"trading": {"mode": "Sleeping"}}, "spec.trading.mode"),
        ({"risk": {"maxDrawdownPct": 101}}, "spec.risk.maxDrawdownPct"),
        ({"risk": {"maxOrderUsd": 1.5}}, "spec.risk.maxOrderUsd"),
        ({"image": {"repository": "a/b"}}, "set exactly one of tag and digest"),
        ({"datadog": {"env": "no spaces allowed"}}, "spec.datadog.env"),
        ({"api": {}}, "spec.api.keySecretRef"),
        ({"pod": {"resources": {"limits": {"cpu": "lots"}}}}, "spec.pod.resources.limits"),
    ],
)
def test_the_api_server_refuses_a_wrong_field_and_names_it(sandbox, namespace, changes, words):
    command = ("create", f"--namespace={namespace}", "--filename=-", "--dry-run=server")
    with pytest.raises(DemoError) as refused:
        sandbox.tools.kubectl(*command, stdin=manifest(**changes))
    assert words in str(refused.value)


@pytest.mark.parametrize("name", ["9lives", "a" * 46, "with.dots"])
def test_a_name_that_makes_no_pod_names_is_refused(sandbox, namespace, name):
    command = ("create", f"--namespace={namespace}", "--filename=-", "--dry-run=server")
    with pytest.raises(DemoError, match="must be a DNS label of at most 45 characters"):
        sandbox.tools.kubectl(*command, stdin=manifest(name))


def condition_of(sandbox, namespace, name):
    found = sandbox.conditions(namespace, name).get("WorkloadAvailable", {})
    return found.get("reason"), found.get("message", "")


def test_a_missing_secret_is_named_and_its_creation_heals(sandbox):
    namespace = sandbox.namespace("no-secret", with_key=False)
    sandbox.apply_example(namespace)
    wait_for(
        lambda: condition_of(sandbox, namespace, "momentum")[0] == "SecretNotFound", timeout_s=60
    )
    message = condition_of(sandbox, namespace, "momentum")[1]
    assert 'secret "purpleflea-api-key" not found' in message
    assert "spec.api.keySecretRef" in message
    sandbox.namespace(namespace)
    sandbox.wait_ready(namespace, timeout_s=120)
    sandbox.tools.kubectl("delete", "namespace", namespace, "--wait=false")


def test_a_missing_image_stops_the_rollout_and_a_good_spec_heals(sandbox):
    namespace = sandbox.namespace("no-image")
    sandbox.apply_example(namespace)
    sandbox.wait_ready(namespace)
    before = sandbox.pods(namespace)
    image = '{"repository":"localhost/nowhere","tag":"1","pullPolicy":"Never"}'
    sandbox.patch(namespace, "momentum", f'{{"spec":{{"image":{image}}}}}')
    wait_for(
        lambda: condition_of(sandbox, namespace, "momentum")[0] == "ImagePullFailed", timeout_s=90
    )
    assert "spec.image" in condition_of(sandbox, namespace, "momentum")[1]
    running = sandbox.pods(namespace)
    for name in ("momentum-0", "momentum-1"):
        assert running[name]["metadata"]["uid"] == before[name]["metadata"]["uid"]
    sandbox.patch(namespace, "momentum", '{"spec":{"image":null}}')
    sandbox.wait_ready(namespace, timeout_s=120)
    sandbox.tools.kubectl("delete", "namespace", namespace, "--wait=false")
