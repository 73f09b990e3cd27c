"""PurpleFleaObservability on a real cluster, with the Datadog stand-in."""

import base64
import functools
import json
import urllib.request

import pytest
import yaml

from purpleflea_sandbox.demo import installation
from purpleflea_sandbox.demo.definitions import DATADOG_URL
from purpleflea_sandbox.demo.errors import DemoError
from support import waiting
from support.datadog_objects import held
from support.desired_objects import MONITORS, OBJECTS
from support.refused_parameters import REFUSED

# Every poll of the cluster starts a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
OPERATOR_USER = f"system:serviceaccount:{installation.OPERATOR}:purpleflea-operator"
NS, SECRET = "observed", "datadog-keys"
APP_KEY = "app-key-of-the-sandbox"


def a_manifest(repository, **changes):
    manifest = yaml.safe_load((repository / "examples" / "observability.yaml").read_text())
    spec = {"url": DATADOG_URL, "allowInsecureUrl": True, "resync": "10s", "env": "sandbox"}
    return {**manifest, "spec": {**manifest["spec"], **spec, **changes}}


@pytest.fixture(scope="module")
def namespace(sandbox, repository):
    chart = repository / "charts" / "purpleflea-operator"
    granted = [
        f"observability.secrets[0].namespace={NS}",
        f"observability.secrets[0].name={SECRET}",
        f"observability.urls[0]={DATADOG_URL}",
    ]
    name = sandbox.namespace(NS, with_key=False)
    sandbox.tools.helm(
        "upgrade",
        "purpleflea-operator",
        str(chart),
        f"--namespace={installation.OPERATOR}",
        "--reuse-values",
        *(f"--set={value}" for value in granted),
    )
    texts = {"api-key": sandbox.keys.datadog_key, "app-key": APP_KEY}
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    metadata = {"name": SECRET, "namespace": name}
    sandbox.tools.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    return name


@pytest.fixture
def monitors(sandbox):
    """Return a client of the Datadog stand-in that reads and deletes monitors."""
    headers = {"DD-API-KEY": sandbox.keys.datadog_key, "DD-APPLICATION-KEY": APP_KEY}

    def ask(path, method="GET"):
        address = sandbox.observer.intake + path
        request = urllib.request.Request(address, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read())

    class Monitors:
        def ask(self, path):
            return ask(path)

        def of(self, uid):
            monitors = ask(f"/api/v1/monitor?monitor_tags=purpleflea-uid:{uid}")
            return {item["name"]: item["id"] for item in monitors}

        def delete(self, identifier):
            ask(f"/api/v1/monitor/{identifier}", "DELETE")

    return Monitors()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"allowInsecureUrl": False}, "url must be https"),
        ({"url": "http://example.com"}, "url must be https"),
        ({"resync": "1s"}, "resync must be between"),
        ({"site": "datadog.example"}, "spec.site"),
        ({"thresholds": {"drawdown": {"critical": 5}}}, "levels must fall"),
        ({"thresholds": {"balance": {"critical": 500}}}, "levels must rise"),
        ({"objective": {"target": 99.9}}, "warning must be above target"),
        ({"objective": {"warning": 100}}, "warning must be less than 100"),
        ({"objective": {"fastBurn": {"rate": 100}}}, "fastBurn.rate must be less than"),
        ({"objective": {"target": 90, "slowBurn": {"rate": 10}}}, "slowBurn.rate must be less"),
        ({"objective": {"slowBurn": {"shortWindow": "6h"}}}, "shortWindow must be shorter"),
        ({"objective": {"fastBurn": {"longWindow": "49h"}}}, "longWindow must be from 1h to 48h"),
        ({"thresholds": {"errorRate": {"critical": 100}}}, "the monitor can never alert"),
        ({"thresholds": {"heartbeat": {"critical": 0}}}, "the monitor can never alert"),
        ({"thresholds": {"heartbeat": {"critical": 1e-10}}}, "or at least 0.000000001"),
        ({"thresholds": {"drawdown": {"window": "169h"}}}, "window must be at most 168h"),
        ({"thresholds": {"escrowFailures": {"window": "49h"}}}, "window must be at most 48h"),
        ({"notifications": {"paging": ["pigeon:home"]}}, "spec.notifications.paging[0]"),
        ({"env": "Production"}, "spec.env"),
        ({"colour": "blue"}, 'unknown field "spec.colour"'),
    ],
)
def test_the_api_server_rejects_invalid_fields_and_names_them(
    sandbox, repository, namespace, changes, message
):
    manifest = json.dumps(a_manifest(repository, **changes))
    arguments = ("--dry-run=server", "--filename=-", f"--namespace={namespace}")
    with pytest.raises(DemoError) as refused:
        sandbox.tools.kubectl("create", *arguments, stdin=manifest)
    assert message in str(refused.value)


@pytest.mark.parametrize("row", [row for row in REFUSED if row.spec is not None], ids=str)
def test_the_api_server_rejects_each_value_that_terraform_refuses(
    sandbox, repository, namespace, row
):
    manifest = json.dumps(a_manifest(repository, **row.spec))
    arguments = ("--dry-run=server", "--filename=-", f"--namespace={namespace}")
    with pytest.raises(DemoError) as refused:
        sandbox.tools.kubectl("create", *arguments, stdin=manifest)
    assert row.admission in str(refused.value)


@pytest.mark.parametrize(
    "change", [{"site": "datadoghq.eu"}, {"url": "http://localhost"}, {"url": None}]
)
def test_site_and_url_are_immutable(sandbox, repository, namespace, change):
    arguments = ("--filename=-", f"--namespace={namespace}")
    manifest = a_manifest(repository, mode="Plan")
    manifest["metadata"]["name"] = "settled"
    sandbox.tools.kubectl("create", *arguments, stdin=json.dumps(manifest))
    try:
        patch = json.dumps({"spec": change})
        with pytest.raises(DemoError) as refused:
            sandbox.tools.kubectl(
                "patch", "pfo/settled", "--type=merge", f"--patch={patch}", arguments[1]
            )
        assert "site and url cannot be changed" in str(refused.value)
    finally:
        sandbox.tools.kubectl("delete", "pfo/settled", arguments[1])


def test_the_example_creates_repairs_and_deletes_all_objects(
    sandbox, repository, namespace, monitors
):
    tools = sandbox.tools

    def resource():
        return tools.get("pfo", "fleet", f"--namespace={namespace}")

    def conditions():
        items = resource().get("status", {}).get("conditions", [])
        return {item["type"]: item["status"] for item in items}

    before = held(monitors.ask)
    arguments = ("--filename=-", f"--namespace={namespace}")
    tools.kubectl("create", *arguments, stdin=json.dumps(a_manifest(repository)))
    wait_for(lambda: conditions().get("Ready") == "True", what="fleet Ready")
    uid = resource()["metadata"]["uid"]
    created = monitors.of(uid)
    assert len(created) == MONITORS
    status = resource()["status"]
    existing = held(monitors.ask)
    for item in status["objects"]:
        # A metric that no agent of this cluster has reported yet.
        is_waiting = (item["kind"], item["state"]) == ("metric-tags", "Waiting")
        assert is_waiting or item["id"] in existing[item["kind"]], item
        assert is_waiting or item["state"] == "InSync", item
    assert status["wanted"] == len(status["objects"]) == OBJECTS
    assert APP_KEY not in json.dumps(resource())

    deleted = created["Purple Flea agent: high drawdown"]
    monitors.delete(deleted)
    wait_for(
        lambda: monitors.of(uid).get("Purple Flea agent: high drawdown", deleted) != deleted,
        what="the recreated monitor",
    )
    tools.kubectl("delete", "pfo/fleet", f"--namespace={namespace}", "--timeout=180s")
    assert monitors.of(uid) == {}
    assert held(monitors.ask) == before
    read = {
        entry.name
        for entry in sandbox.audit.entries(user=OPERATOR_USER)
        if entry.resource == "secrets"
    }
    assert read == {SECRET}
