"""PurpleFleaObservability in process: the synchroniser between a fake API server and the stand-in of Datadog's API.

An operator is made anew for each life; `dies_after` lets it end after the n-th answer it got, whoever gave it. Time is
the test's.
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
    """The Secret with the keys."""
    texts = {"api-key": api, "app-key": app}
    data = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
    metadata = {"name": SECRET, "namespace": NS, "uid": "secret-uid"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def a_resource(url: str, /, *, uid: str = "pfo-uid", **spec: Any) -> dict[str, Any]:
    """A PurpleFleaObservability that asks Datadog at this address; keywords are fields of its spec."""
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
    """The process ends here; nothing may catch it."""


class Life:
    """How many answers an operator still lives to see; None for all."""

    def __init__(self, answers: int | None) -> None:
        self.left = answers
        self.seen = 0

    def trace(self) -> aiohttp.TraceConfig:
        async def on_end(*_: object) -> None:
            self.seen += 1
            if self.left is not None:
                self.left -= 1
                if self.left <= 0:
                    raise Killed

        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(on_end)
        return trace


class Trial:
    """One resource, one cluster, one organisation."""

    def __init__(self, *, limits: Mapping[str, Limit] | None = None) -> None:
        self.now = NOON
        self.fleet: Fleet = NoFleet()
        self.seen_through: Callable[[DatadogClient], DatadogClient] = lambda found: found
        """What stands between operator and Datadog."""
        self.server = ApiServer(now=lambda: self.now)
        self.datadog = DatadogApi(limits=limits, now=lambda: self.now.timestamp())
        self.urls: list[str] = []
        """Where the operator may send keys."""

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
        """Make the resource, or change its spec."""
        wanted = a_resource(self.datadog.url, uid=uid, **spec)
        if self.resource is None:
            self.server.put(wanted)
        else:
            self.server.patch(KIND, NS, NAME, {"spec": wanted["spec"]})

    def report_metrics(self, names: Iterable[str] = (), *, service: str = SERVICE) -> None:
        """Let the agents' metrics have reported."""
        wanted = set(names) or {metric.name for metric in METRICS}
        for metric in METRICS:
            if metric.name in wanted:
                tags = [f"service:{service}"]
                self.datadog.report(metric.name, TYPES[metric.type.value], tags)

    @property
    def resource(self) -> dict[str, Any] | None:
        return self.server.get(KIND, NS, NAME)

    @property
    def status(self) -> dict[str, Any]:
        found = self.resource
        assert found is not None
        status: dict[str, Any] = found.get("status", {})
        return status

    def condition(self, kind: str) -> dict[str, Any]:
        return next(item for item in self.status["conditions"] if item["type"] == kind)

    def entry(self, key: str, kind: str = "monitor") -> dict[str, Any]:
        return next(
            item for item in self.status["objects"] if (item["kind"], item["key"]) == (kind, key)
        )

    def events(self) -> dict[str, str]:
        return {item["reason"]: item["message"] for item in self.server.objects("events")}

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def change_organisation(self) -> None:
        """From now on the keys are those of another organisation, which holds nothing of ours."""
        found = self.datadog.organisation
        for held in (
            found.monitors,
            found.slos,
            found.dashboards,
            found.notebooks,
            found.logs.pipelines,
            found.metric_tags,
            found.scanner.groups,
            found.scanner.rules,
        ):
            held.clear()

    async def look(self, *, life: Life | None = None, key: NamespacedName = KEY) -> Result:
        """One pass of a new operator, which knows nothing but what the cluster and Datadog say."""
        async with Operator(self, life or Life(None)) as operator:
            return await operator.look(key)

    async def settle(self) -> None:
        """TimedReconciler until none asks for another try, each as late as the one before it asked for."""
        for _ in range(4):
            try:
                await self.look()
            except errors.Transient as error:
                self.pass_time(error.retry_after_s)
            else:
                return
        raise AssertionError("it does not come to rest")


class Operator:
    """One life of the operator."""

    def __init__(self, trial: Trial, life: Life) -> None:
        self._trial = trial
        traces = [life.trace()]
        self._kubernetes = aiohttp.ClientSession(
            headers={"User-Agent": "purpleflea-operator"}, trace_configs=traces
        )
        self._datadog = aiohttp.ClientSession(trace_configs=[life.trace()])
        self._cluster = HttpKubeClient(trial.server.url, self._kubernetes)
        self._resources = ResourceCache()
        self._synchroniser = ObservabilityReconciler(
            self._cluster,
            self._resources,
            OpenDatadog(open=self._open, urls=trial.urls),
            now=lambda: trial.now,
            fleet=trial.fleet,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._kubernetes.close()
        await self._datadog.close()

    async def look(self, key: NamespacedName = KEY) -> Result:
        """One pass."""
        found, _ = await self._cluster.list_all(resources.OBSERVABILITY)
        for manifest in found:
            self._resources.see(manifest)
        self._resources.keep_only([item["metadata"]["uid"] for item in found], version=2**62)
        return await self._synchroniser.reconcile(key)

    def _open(self, url: str, keys: Keys) -> DatadogClient:
        return self._trial.seen_through(HttpDatadogClient(Transport(self._datadog, url, keys)))
