"""Spans of the contract, on top of what ddtrace instruments by itself.

It makes them measured, tags them with the agent's identity and flags errors; where they go is ddtrace's business,
told by the environment. Names and allowed tags are the contract's.
"""

import contextlib
import logging
import sys
import traceback
from collections.abc import Iterator
from decimal import Decimal

from ddtrace import config
from ddtrace.trace import Span as TracerSpan
from ddtrace.trace import TraceFilter, tracer

from purpleflea_agent import losses, masking, receivers
from purpleflea_agent.settings import Environment, read_environment, strategy_name
from purpleflea_contract import spans as contract

TagValue = str | int | float | Decimal

PROBES = ("GET /healthz", "GET /readyz")
"""Resources of no interest: the kubelet asks for them every few seconds."""

STACK_DEPTH = 12
"""Frames told of an error that was never raised, and so has no stack of its own."""

_identity: dict[str, str] = {}


class ActiveSpan:
    """A span that is open: takes tags of its kind, and failures that do not leave it."""

    def __init__(self, kind: contract.Span, span: TracerSpan) -> None:
        self._kind = kind
        self._span = span

    def set(self, **tags: TagValue) -> None:
        """Add tags that are known only now."""
        _check(self._kind, tags)
        for name, value in tags.items():
            self._span.set_tag(name, _plain(value))

    def fail(self, error: BaseException) -> None:
        """Flag the span as failed by an error that is handled inside it."""
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
        """The trace, or nothing where it is a probe's."""
        return None if trace and trace[0].resource in PROBES else trace


class MaskingFilter(TraceFilter):  # type: ignore[misc] # as above
    """Masks secrets in the texts of errors, whichever integration wrote them."""

    def process_trace(self, trace: list[TracerSpan]) -> list[TracerSpan] | None:
        """The trace without secrets."""
        for span in trace:
            if span.error:
                for name in ("error.message", "error.stack"):
                    text = span.get_tag(name)
                    if text:
                        span.set_tag(name, masking.mask(text))
        return trace


def install(environment: Environment) -> None:
    """Set identity and filters; without a receiver nothing is traced."""
    receivers.say_if_there_are_none(environment)
    _identify(environment)
    _count_losses()
    if not environment.dd_remote_configuration_enabled:
        _disable_remote_configuration()
    tracer.configure(trace_processors=[ProbeFilter(), MaskingFilter()])
    if not environment.traces_have_a_receiver:
        tracer.enabled = False
        # ddtrace-run has started its own background senders before us; they would complain forever.
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
    """Open a span of the contract around a block; an error that leaves the block flags the span."""
    if not _identity:
        install(read_environment())
    _check(kind, tags)
    resource = masking.mask(kind.resource.format_map({**_identity, **tags}))
    with _opened(kind, resource) as opened:
        for name, value in _identity.items():
            opened.set_tag(name, value)
        if kind.measured:
            opened.set_tag(contract.MEASURED_TAG, 1)
        active = ActiveSpan(kind, opened)
        active.set(**tags)
        yield active


def _opened(kind: contract.Span, resource: str) -> TracerSpan:
    if kind.is_root:
        # ddtrace hands the context of whoever made a task on to it, even to one with a context of its own.
        return tracer.start_span(kind.name, resource=resource, child_of=None, activate=True)
    return tracer.trace(kind.name, resource=resource)


class LossCounter(logging.Filter):
    """Counts dropped traces by what ddtrace's writer says of them: it keeps no counter that could be read."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record passes."""
        if isinstance(record.msg, str) and "dropping" in record.msg:
            lost = record.args[0] if isinstance(record.args, tuple) and record.args else 1
            counts = "dropping %d traces" in record.msg and isinstance(lost, int)
            self.lost += int(str(lost)) if counts else 1
        return True


_losses = LossCounter()


def _count_losses() -> None:
    writer = logging.getLogger("ddtrace.internal.writer.writer")
    if _losses not in writer.filters:
        writer.filters.insert(
            0, _losses
        )  # before ddtrace's own filter, which lets one a minute pass
    losses.watch("traces", lambda: _losses.lost)


def _identify(environment: Environment) -> None:
    _identity.update(
        agent_id=environment.agent_id, strategy=strategy_name(environment.settings_file)
    )


def _plain(value: TagValue) -> str | int | float:
    """As the tracer takes it: numbers as numbers, and no secret in a text that somebody else gave (ids, names)."""
    if isinstance(value, Decimal):
        return float(value)
    return masking.mask(value) if isinstance(value, str) else value


def _check(kind: contract.Span, tags: dict[str, TagValue]) -> None:
    unknown = sorted(tag for tag in tags if not kind.takes(tag))
    if unknown:
        raise ValueError(f"the span {kind.name} has no tags {unknown}")
