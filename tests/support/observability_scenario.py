"""PurpleFleaObservability in process: the reconciler between a fake API server and the stand-in for Datadog's API.

Each pass runs in a new operator. `AnswerLimit` ends an operator after a number of answers from either server. The
tests control the time.
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import aiohttp

from purpleflea_contract import kubernetes
from purpleflea_contract.metrics import METRICS
from purpleflea_operator.controllers.observability.deployment_reporter import Fleet, NoFleet
from purpleflea_operator.controllers.observability.reconciler import (
    ObservabilityReconciler,
    OpenDatadog,
)
from purpleflea_operator.controllers.observability.resource_cache import ResourceCache
from purpleflea_operator.datadog.client.client import DatadogClient, HttpDatadogClient
from purpleflea_operator.datadog.client.transport import Keys, Transport
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.client import HttpKubeClient
from purpleflea_operator.kube.listing import Listing
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.runtime.workers import Result
from purpleflea_sandbox.datadog.api.limits import Limit
from support.apiserver.server import ApiServer
from support.datadog_api import API_KEY, APPLICATION_KEY, DatadogApi

NS, NAME, SECRET = "trading", "fleet", "datadog-keys"
KEY = NamespacedName(NS, NAME)
KIND = resources.OBSERVABILITY.kind
SERVICE = "purpleflea-trading-agent"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TYPES = {"gauge": "gauge", "count": "count", "distribution": "distribution"}


def a_secret(*, api: str = API_KEY, app: str = APPLICATION_KEY) -> dict[str, Any]:
    """Return the Secret with the keys."""
    texts = {"api-key": api, "app-key": app}
    data = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
    metadata = {"name": SECRET, "namespace": NS, "uid": "secret-uid"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def a_resource(url: str, /, *, uid: str = "pfo-uid", **spec: Any) -> dict[str, Any]:
    """Return a PurpleFleaObservability that uses Datadog at this URL. Keywords are fields of its spec."""
    return {
        "apiVersion": kubernetes.API_VERSION,
        "kind": KIND,
        "metadata": {"name": NAME, "namespace": NS, "uid": uid, "generation": 1},
        "spec": {
            "keysSecretRef": {"name": SECRET},
            "url": url,
            "allowInsecureUrl": True,
            **spec,
        },
    }


class Killed(BaseException):
    """The operator is killed. It is not an Exception, so the operator cannot catch it."""


class AnswerLimit:
    """Number of answers after which an operator is killed, None for no limit."""

    def __init__(self, answers: int | None) -> None:
        self.remaining = answers
        self.received = 0

    def trace(self) -> aiohttp.TraceConfig:
        async def on_end(*_: object) -> None:
            self.received += 1
            if self.remaining is not None:
                self.remaining -= 1
                if self.remaining <= 0:
                    raise Killed

        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(on_end)
        return trace


class Scenario:
    """One resource, one cluster, one organization."""

    def __init__(self, *, limits: Mapping[str, Limit] | None = None) -> None:
        self.now = NOON
        self.fleet: Fleet = NoFleet()
        self.wrap_client: Callable[[DatadogClient], DatadogClient] = lambda client: client
        """Wraps the operator's client, to inject faults."""
        self.server = ApiServer(now=lambda: self.now)
        self.datadog = DatadogApi(limits=limits, now=lambda: self.now.timestamp())
        self.urls: list[str] = []
        """Allowed URLs for keys."""

    async def __aenter__(self) -> Self:
        await self.server.__aenter__()
        await self.datadog.__aenter__()
        self.urls.append(self.datadog.url)
        self.put_secret()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.datadog.__aexit__(kind, error, trace)
        await self.server.__aexit__(kind, error, trace)

    def put_secret(self, *, api: str = API_KEY, app: str = APPLICATION_KEY) -> None:
        self.server.put(a_secret(api=api, app=app))

    def put(self, *, uid: str = "pfo-uid", **spec: Any) -> None:
        """Create the resource, or change its spec."""
        resource = a_resource(self.datadog.url, uid=uid, **spec)
        if self.resource is None:
            self.server.put(resource)
        else:
            self.server.patch(KIND, NS, NAME, {"spec": resource["spec"]})

    def report_metrics(self, names: Iterable[str] = (), *, service: str = SERVICE) -> None:
        """Report the agents' metrics, by default all of them."""
        reported = set(names) or {metric.name for metric in METRICS}
        for metric in METRICS:
            if metric.name in reported:
                tags = [f"service:{service}"]
                self.datadog.report(metric.name, TYPES[metric.type.value], tags)

    @property
    def resource(self) -> dict[str, Any] | None:
        return self.server.get(KIND, NS, NAME)

    @property
    def status(self) -> dict[str, Any]:
        resource = self.resource
        assert resource is not None
        status: dict[str, Any] = resource.get("status", {})
        return status

    def condition(self, kind: str) -> dict[str, Any]:
        return next(item for item in self.status["conditions"] if item["type"] == kind)

    def record(self, key: str, kind: str = "monitor") -> dict[str, Any]:
        return next(
            item for item in self.status["objects"] if (item["kind"], item["key"]) == (kind, key)
        )

    def events(self) -> dict[str, str]:
        """Return the messages of the Events by reason, without the links to the runbooks."""
        items = self.server.objects("events")
        return {item["reason"]: item["message"].partition("; runbook: ")[0] for item in items}

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def change_organisation(self) -> None:
        """Simulate keys of another organization, in which none of the objects exist."""
        organisation = self.datadog.organisation
        for objects in (
            organisation.monitors,
            organisation.slos,
            organisation.dashboards,
            organisation.notebooks,
            organisation.logs.pipelines,
            organisation.metric_tags,
            organisation.scanner.groups,
            organisation.scanner.rules,
        ):
            objects.clear()

    async def reconcile(
        self, *, limit: AnswerLimit | None = None, key: NamespacedName = KEY
    ) -> Result:
        """Run one pass in a new operator, which has no state except that of the cluster and Datadog."""
        async with Operator(self, limit or AnswerLimit(None)) as operator:
            return await operator.reconcile(key)

    async def reconcile_until_done(self) -> None:
        """Run passes until one needs no retry. Each retry is delayed as the pass before it requested."""
        for _ in range(4):
            try:
                await self.reconcile()
            except errors.Transient as error:
                self.pass_time(error.retry_after_s)
            else:
                return
        raise AssertionError("the fourth pass still needs a retry")


class Operator:
    """One process of the operator."""

    def __init__(self, scenario: Scenario, limit: AnswerLimit) -> None:
        self._scenario = scenario
        traces = [limit.trace()]
        self._kubernetes = aiohttp.ClientSession(
            headers={"User-Agent": "purpleflea-operator"}, trace_configs=traces
        )
        self._datadog = aiohttp.ClientSession(trace_configs=[limit.trace()])
        self._cluster = HttpKubeClient(scenario.server.url, self._kubernetes)
        self._resources = ResourceCache()
        self._reconciler = ObservabilityReconciler(
            self._cluster,
            self._resources,
            OpenDatadog(open=self._open, urls=scenario.urls),
            now=lambda: scenario.now,
            fleet=scenario.fleet,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._kubernetes.close()
        await self._datadog.close()

    async def reconcile(self, key: NamespacedName = KEY) -> Result:
        """List the resources and run one pass."""
        manifests, *_ = await self._cluster.list_all(resources.OBSERVABILITY)
        for manifest in manifests:
            self._resources.observe(manifest)
        uids = frozenset(item["metadata"]["uid"] for item in manifests)
        self._resources.prune(Listing(uids=uids, version=2**62))
        return await self._reconciler.reconcile(key)

    def _open(self, url: str, keys: Keys) -> DatadogClient:
        return self._scenario.wrap_client(HttpDatadogClient(Transport(self._datadog, url, keys)))
