"""Every metric, span and log event of the published page arrives from an agent on a cluster."""

import base64
import functools
import json
import urllib.request

import pytest

from purpleflea_contract import events, metrics, spans
from support import waiting

# Every poll of the cluster starts a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NAME, POD = "whole", "whole-0"
TOKEN = "e2e-token-0123456789"
ENDPOINT = "http://exchange.exchange.svc.cluster.local"
METRICS = [item for item in metrics.METRICS if item is not metrics.INTERVAL_FAILURES]
"""All metrics except those of failed intervals; test_alerts proves that they arrive, by the alert."""
BY_INTENT = [span for span in spans.SPANS if span is not spans.ORDER_SETTLE]
"""All spans except the span that needs a lost response."""
MOVES_MONEY = """
import json, os, urllib.error, urllib.request

token = open(os.environ["PURPLEFLEA_API_TOKEN_FILE"]).read().strip()

def post(path, body=None, token=token):
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = json.dumps(body).encode()
    request = urllib.request.Request("http://127.0.0.1:8000" + path, data, headers, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)

order = {"market": "BTC-USD", "side": "buy", "size": "0.01"}
answers = [post("/v1/trade", order, token="another-token"), post("/v1/trade", {**order, "size": "9"})]
for end in ("release", "cancel"):
    escrow = {"counterparty_id": "agent_7", "amount_usd": "25.00"}
    status, opened = post("/v1/escrow/create", escrow)
    answers.append((status, opened))
    answers.append(post(f"/v1/escrow/{opened['escrow_id']}/{end}"))
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def namespace(sandbox):
    """Create an agent that trades on every signal and whose balance is always too low."""
    name = sandbox.namespace("whole")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "token", "namespace": name},
    }
    token = base64.b64encode(TOKEN.encode()).decode()
    services = dict.fromkeys(("trading", "wallet", "escrow", "faucet"), ENDPOINT)
    spec = {
        "strategy": "momentum",
        "markets": ["BTC-USD"],
        "api": {
            "keySecretRef": {"name": "purpleflea-api-key"},
            "tokenSecretRef": "token",
            "endpoints": services,
        },
        "trading": {"interval": "2s", "signalThreshold": "0"},
        "faucet": {"belowUsd": "1000000"},
        "datadog": {"env": "sandbox"},
        "storage": {"ephemeral": True},
    }
    agent = {"apiVersion": "purpleflea.com/v1alpha1", "kind": "PurpleFleaAgent", "spec": spec}
    sandbox.tools.apply(
        {**secret, "data": {"token": token}},
        {**agent, "metadata": {"name": NAME, "namespace": name}},
    )
    sandbox.wait_ready(name, NAME)
    return name


@pytest.fixture(scope="module")
def moved(sandbox, namespace):
    """Return the responses of the agent to manual requests that move money."""
    inside = ("exec", POD, f"--namespace={namespace}", "--", "python", "-c", MOVES_MONEY)
    return json.loads(sandbox.tools.kubectl(*inside))


def received(sandbox, path):
    with urllib.request.urlopen(
        f"{sandbox.observer.intake}/received/{path}", timeout=10
    ) as response:
        return json.load(response)


def test_manual_requests_need_the_mounted_token_and_respect_limits(moved):
    assert [status for status, _ in moved] == [401, 409, 201, 200, 201, 200]
    assert [answer.get("status") for _, answer in moved[2:]] == [
        "created",
        "released",
        "created",
        "cancelled",
    ]


@pytest.mark.usefixtures("moved")
@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_of_the_contract_arrives(sandbox, metric):
    path = f"metrics?name={metric.name}&tag=agent_id:{POD}"
    series = wait_for(lambda: received(sandbox, path)["series"], what=metric.name)
    assert {item["type"] for item in series} == {metric.type.value}


@pytest.mark.usefixtures("moved")
@pytest.mark.parametrize("span", BY_INTENT, ids=lambda span: span.name)
def test_every_span_of_the_contract_arrives(sandbox, span):
    path = f"traces?name={span.name}&tag=agent_id:{POD}&limit=1"
    (trace,) = wait_for(lambda: received(sandbox, path)["traces"], what=span.name)
    (first, *_) = [item for item in trace["spans"] if item["name"] == span.name]
    assert first["metrics"].get(spans.MEASURED_TAG) == 1


@pytest.mark.usefixtures("moved")
@pytest.mark.parametrize(
    "event",
    [
        events.TRADE_EXECUTED,
        events.SIGNAL_GENERATED,
        events.ESCROW_TRANSACTION,
        events.BALANCE_ALERT,
        events.ORDER_REFUSED,
    ],
    ids=lambda event: event.name,
)
def test_every_log_event_of_the_page_arrives(sandbox, event):
    path = f"logs?attribute=event_type:{event.name}&attribute=agent_id:{POD}&limit=1"
    (line,) = wait_for(lambda: received(sandbox, path)["logs"], what=event.name)
    assert line["attributes"]["dd.trace_id"]
