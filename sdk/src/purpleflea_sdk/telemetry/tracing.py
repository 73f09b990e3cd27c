"""Spans of the contract, in addition to the automatic instrumentation of ddtrace.

It marks them as measured, adds the tags of the agent's identity and flags errors. ddtrace sends them to the receiver in
the environment. The contract defines names and allowed tags. If ddtrace is not installed, names and tags are checked,
and there are no spans.
"""

import contextlib
import importlib.util
import logging
import sys
import traceback
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from purpleflea_contract import spans as contract
from purpleflea_sdk.settings import Environment, read_environment, strategy_name
from purpleflea_sdk.telemetry import drop_counters, redaction
from purpleflea_sdk.telemetry.dogstatsd import warn_if_no_receiver
from purpleflea_sdk.telemetry.guard import drop, guarded, text_of

_unavailable: str | None = None
"""Why there is no tracer, and the remedy."""

if TYPE_CHECKING or importlib.util.find_spec("ddtrace") is not None:
    try:
        from ddtrace import config
        from ddtrace.trace import Span as TracerSpan
        from ddtrace.trace import TraceFilter, tracer
    except (
        Exception
    ) as error:  # ddtrace reads its variables here, and telemetry must not end an agent
        _unavailable = f"ddtrace cannot be loaded ({text_of(error)}): traces are not sent; correct the variables DD_*"
else:
    _unavailable = (
        "ddtrace is not installed: traces are not sent; pip install 'purpleflea-sdk[tracing]'"
    )
if not TYPE_CHECKING and _unavailable is not None:
    from purpleflea_sdk.telemetry.no_tracer import Span as TracerSpan
    from purpleflea_sdk.telemetry.no_tracer import TraceFilter, config, tracer

logger = logging.getLogger("purpleflea.telemetry")

TagValue = str | int | float | Decimal

PROBES = ("GET /healthz", "GET /readyz")
"""Resources that are not traced, because the kubelet requests them every few seconds."""

TRACES = "traces"
"""Value of the contract's tag `signal`."""

STACK_DEPTH = 12
"""Frames in the stack of an error that was never raised, and so has no traceback."""

_identity: dict[str, str] = {}


class ActiveSpan:
    """An open span, for tags and errors that are known later."""

    def __init__(self, kind: contract.Span, span: TracerSpan | None) -> None:
        """Wrap the span of the tracer; None if it could not be opened."""
        self._kind = kind
        self._span = span

    @guarded(TRACES)
    def set(self, **tags: TagValue) -> None:
        """Add tags."""
        if self._span is None:
            return
        _check(self._kind, tags)
        for name, value in tags.items():
            self._span.set_tag(name, _plain(value))

    @guarded(TRACES)
    def fail(self, error: BaseException) -> None:
        """Flag the span as failed by an error that is handled inside it."""
        if self._span is None:
            return
        self._span.set_exc_info(type(error), error, error.__traceback__)
        if error.__traceback__ is None:  # set_exc_info ignores an error that was never raised
            self._span.error = 1
            self._span.set_tag("error.type", type(error).__qualname__)
            self._span.set_tag("error.message", str(error))
            here = traceback.format_stack(limit=STACK_DEPTH)[:-1]
            self._span.set_tag("error.stack", "".join([*here, *traceback.format_exception(error)]))


class ProbeFilter(TraceFilter):  # type: ignore[misc] # ddtrace is not followed by the type checker
    """Drops traces of the kubelet's probes."""

    def process_trace(self, trace: list[TracerSpan]) -> list[TracerSpan] | None:
        """Return the trace, or None if it is a probe."""
        return None if trace and trace[0].resource in PROBES else trace


class RedactionFilter(TraceFilter):  # type: ignore[misc] # as above
    """Redacts secrets in the error texts of every integration."""

    def process_trace(self, trace: list[TracerSpan]) -> list[TracerSpan] | None:
        """Return the trace without secrets."""
        for span in trace:
            if span.error:
                for name in ("error.message", "error.stack"):
                    text = span.get_tag(name)
                    if text:
                        # One character without an encoding would lose the whole trace.
                        encodable = text.encode(errors="replace").decode()
                        span.set_tag(name, redaction.redact(encodable))
        return trace


def install(environment: Environment) -> None:
    """Set identity and filters; disable tracing if there is no receiver."""
    warn_if_no_receiver(environment)
    _identify(environment)
    if environment.traces_have_a_receiver and _unavailable is not None:
        logger.warning(_unavailable)
    _register_drop_counter()
    if not environment.dd_remote_configuration_enabled:
        _disable_remote_configuration()
    tracer.configure(trace_processors=[ProbeFilter(), RedactionFilter()])
    if not environment.traces_have_a_receiver:
        tracer.enabled = False
        # Background senders that ddtrace-run started before would log errors without end.
        logging.getLogger("ddtrace").setLevel(logging.CRITICAL)


def disable(environment: Environment) -> None:
    """Set the identity, and create no traces, whatever the environment is."""
    _identify(environment)
    tracer.enabled = False
    logging.getLogger("ddtrace").setLevel(logging.CRITICAL)


def _disable_remote_configuration() -> None:
    """Keep Datadog's servers from changing sampling or instrumentation of a process that trades.

    ddtrace reads the variable when it is imported, which ddtrace-run does before any code of the agent runs. So the
    setting is changed for products that start later, and a poller that ddtrace-run started is stopped.
    """
    config._remote_config_enabled = False
    worker = sys.modules.get("ddtrace.internal.remoteconfig.worker")
    if worker is not None:
        worker.remoteconfig_poller.disable()


@contextlib.contextmanager
def span(kind: contract.Span, **tags: TagValue) -> Iterator[ActiveSpan]:
    """Open a span of the contract around a block; an error that leaves the block flags the span as failed."""
    tracer_span = _opened(kind, tags)
    try:
        yield ActiveSpan(kind, tracer_span)
    except BaseException:
        _close(tracer_span, *sys.exc_info())
        raise
    _close(tracer_span, None, None, None)


def _opened(kind: contract.Span, tags: dict[str, TagValue]) -> TracerSpan | None:
    """Start a span with its tags; None if that fails, because the work inside must go on."""
    try:
        if not _identity:
            install(read_environment())
        _check(kind, tags)
        resource = redaction.redact(kind.resource.format_map({**_identity, **tags}))
        tracer_span = _start_span(kind, resource)
    except Exception as error:
        drop(TRACES, "span", error)
        return None
    for name, value in _identity.items():
        tracer_span.set_tag(name, value)
    if kind.measured:
        tracer_span.set_tag(contract.MEASURED_TAG, 1)
    ActiveSpan(kind, tracer_span).set(**tags)
    return tracer_span


def _close(tracer_span: TracerSpan | None, *raised: object) -> None:
    if tracer_span is None:
        return
    try:
        tracer_span.__exit__(*raised)
    except Exception as error:
        drop(TRACES, "span", error)


def _start_span(kind: contract.Span, resource: str) -> TracerSpan:
    if kind.is_root:
        # ddtrace gives a new task the trace context of its creator, even if the task runs in an empty context.
        return tracer.start_span(kind.name, resource=resource, child_of=None, activate=True)
    return tracer.trace(kind.name, resource=resource)


class DroppedTraceCounter(logging.Filter):
    """Counts dropped traces from the log records of ddtrace's writer, which has no counter."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Count the record; every record passes."""
        if isinstance(record.msg, str) and "dropping" in record.msg:
            lost = record.args[0] if isinstance(record.args, tuple) and record.args else 1
            counts = "dropping %d traces" in record.msg and isinstance(lost, int)
            self.count += int(str(lost)) if counts else 1
        return True


_dropped_traces = DroppedTraceCounter()


def _register_drop_counter() -> None:
    writer = logging.getLogger("ddtrace.internal.writer.writer")
    if _dropped_traces not in writer.filters:
        writer.filters.insert(
            0, _dropped_traces
        )  # before the filter of ddtrace, which passes one record a minute
    drop_counters.register("traces", lambda: _dropped_traces.count)


def _identify(environment: Environment) -> None:
    _identity.update(
        agent_id=environment.agent_id, strategy=strategy_name(environment.settings_file)
    )


def _plain(value: TagValue) -> str | int | float:
    """Convert a value for the tracer: numbers stay numbers, and secrets in texts (ids, names) are redacted."""
    if isinstance(value, Decimal):
        return float(value)
    return redaction.redact(value) if isinstance(value, str) else value


def _check(kind: contract.Span, tags: dict[str, TagValue]) -> None:
    unknown = sorted(tag for tag in tags if not kind.takes(tag))
    if unknown:
        raise ValueError(f"the span {kind.name} has no tags {unknown}")
