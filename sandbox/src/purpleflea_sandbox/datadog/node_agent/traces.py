"""Traces of this node: decode the payloads that the trace agent forwards, add the tags of the pod and send them.

The trace agent is Datadog's ddapm-test-agent. Its own decoders parse the payloads, so that every version it accepts
is supported. The response does not wait for the intake.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from ddapm_test_agent import trace as wire  # type: ignore[import-untyped]

from purpleflea_sandbox.datadog import tags as tagging
from purpleflea_sandbox.datadog.dogstatsd import Origin
from purpleflea_sandbox.datadog.node_agent import forward, origin
from purpleflea_sandbox.datadog.node_agent.counters import Counters
from purpleflea_sandbox.datadog.node_agent.origin import Tagger

logger = logging.getLogger(__name__)

_ROUTE = "/api/v0.2/traces"
_MAX_BODY_BYTES = 100 * 1024 * 1024
"""Same limit as the trace agent's own."""
_ACCEPTED = {"rate_by_service": {"service:,env:": 1.0}}

TracerSpan = Mapping[str, Any]


class UndecodableError(Exception):
    """The payload is not a trace payload."""


def decoded(version: str, content_type: str, body: bytes) -> Sequence[Sequence[TracerSpan]]:
    """Decode the traces of a payload of /v0.4/traces, /v0.5/traces, /v0.7/traces or /v1.0/traces."""
    decoders: Mapping[str, Callable[[], Any]] = {
        "v0.4": lambda: wire.decode_v04(content_type, body, False),
        "v0.5": lambda: wire.decode_v05(body),
        "v0.7": lambda: wire.decode_v07(body),
        "v1.0": lambda: wire.decode_v1(body),
    }
    if version not in decoders:
        raise UndecodableError(f"unknown trace payload version {version!r}")
    try:
        traces: Sequence[Sequence[TracerSpan]] = decoders[version]()
    except Exception as error:  # the decoder raises any exception for malformed bytes
        raise UndecodableError(f"{type(error).__name__}: {error}") from error
    return traces


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSink:
    """Accept payloads as tracers send them, and pass them to the forwarder."""

    tagger: Tagger
    forwarder: forward.Forwarder
    counters: Counters
    hostname: str
    host_tags: tuple[str, ...] = ()

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """Count and forward a payload. If it is malformed, it is only counted."""
        lowered = {name.lower(): value for name, value in headers.items()}
        content_type = lowered.get("content-type", "application/msgpack").partition(";")[0]
        try:
            traces = decoded(path.strip("/").partition("/")[0], content_type, body)
        except UndecodableError as error:
            self.counters.add("traces.malformed")
            logger.warning("trace payload is not readable: %s", error)
            return
        self.counters.add("traces.payloads")
        self.counters.add("traces.chunks", len(traces))
        if traces:
            self.forwarder.send(forward.payload(_ROUTE, self._document(lowered, traces), "traces"))

    def _document(
        self, headers: Mapping[str, str], traces: Sequence[Sequence[TracerSpan]]
    ) -> Mapping[str, Any]:
        tracer = {
            "language": headers.get("datadog-meta-lang", ""),
            "tracer_version": headers.get("datadog-meta-tracer-version", ""),
            "container_tags": self._container_tags(headers),
            "chunks": [{"spans": [_span_json(span) for span in trace]} for trace in traces],
        }
        return {
            "host": self.hostname,
            "tags": list(self.host_tags),
            "tracer_payloads": [tracer],
        }

    def _container_tags(self, headers: Mapping[str, str]) -> Sequence[str]:
        client_origin = Origin(
            container=headers.get("datadog-container-id", ""),
            external=headers.get("datadog-external-env", ""),
        )
        pod, container = self.tagger.located("", client_origin)
        if pod is None:
            return ()
        # The trace agent always resolves the pod, so orchestrator cardinality does not create
        # metrics.
        return tagging.merged(origin.pod_tags(pod, container=container, cardinality="orchestrator"))


_FIELDS = (
    "service",
    "name",
    "resource",
    "type",
    "trace_id",
    "span_id",
    "parent_id",
    "start",
    "duration",
    "error",
)


def _span_json(span: TracerSpan) -> Mapping[str, Any]:
    """Return the span as JSON, without binary and structured extra fields."""
    plain = {name: span.get(name) for name in _FIELDS}
    meta = span.get("meta") or {}
    metrics = span.get("metrics") or {}
    return {**plain, "meta": dict(meta), "metrics": dict(metrics)}


def application(sink: TraceSink) -> web.Application:
    """Create the server that the trace agent forwards to. It accepts every request, because an error would reach the
    tracer.
    """

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        if request.path.endswith("/traces"):
            sink.take(request.path, request.headers, body)
            return web.json_response(_ACCEPTED)
        sink.counters.add(f"trace_agent.other.{request.path.strip('/').partition('/')[0]}")
        return web.json_response({})

    async def validate(request: web.Request) -> web.Response:
        return web.json_response({"valid": True})

    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app.router.add_get("/evp_proxy/v2/api/v1/validate", validate)
    app.router.add_route("*", "/{path:.*}", take)
    return app
