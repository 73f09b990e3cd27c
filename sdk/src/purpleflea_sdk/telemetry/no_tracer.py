"""The parts of ddtrace that the module tracing uses, for an environment without ddtrace: no span is created or sent."""

from types import SimpleNamespace, TracebackType
from typing import Self


class TraceFilter:
    """Base class of filters of traces."""


class Span:
    """A span that is not sent."""

    error = 0
    resource = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let an error leave the block."""

    def set_tag(self, name: str, value: object = None) -> None:
        """Ignore a tag."""

    def get_tag(self, name: str) -> None:
        """Return no tag."""

    def set_exc_info(self, kind: object, error: object, trace: object) -> None:
        """Ignore an error."""

    def finish(self) -> None:
        """End the span."""


class Tracer:
    """A tracer without spans."""

    enabled = False

    def configure(self, **settings: object) -> None:
        """Ignore settings."""

    def trace(self, name: str, **settings: object) -> Span:
        """Return a span that is not sent."""
        return Span()

    def start_span(self, name: str, **settings: object) -> Span:
        """Return a span that is not sent."""
        return Span()


tracer = Tracer()
config = SimpleNamespace()
