"""Newest traces in memory, assembled from the spans of any number of payloads, searchable by tag.

If a span is received twice, it is stored once, because payloads may be repeated.
"""

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from purpleflea_sandbox.datadog import tags as tagging
from purpleflea_sandbox.datadog.intake.index import TagIndex, Term

_MAX_SPANS = 1_000
_MAX_INDEXED_LENGTH = 200
_SERVICE, _NAME = "\0service", "\0name"
_HIGH_BITS = "_dd.p.tid"
_HALF_LENGTH = 16
_ZERO_HIGH = "0" * _HALF_LENGTH

Span = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Trace:
    """A trace; `tags` are the tags of the pods it came from."""

    trace_id: str
    spans: dict[int, Span] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    terms: set[Term] = field(default_factory=set)


def trace_id(spans: Sequence[Span]) -> str:
    """Return the trace id as 32 hexadecimal digits. If a span of the chunk has the upper half as a tag, it is
    included.
    """
    low = int(spans[0]["trace_id"])
    if low >> 64:
        return f"{low:032x}"
    high = next((text for span in spans if (text := (span.get("meta") or {}).get(_HIGH_BITS))), "")
    return f"{high:0>16}{low:016x}"


class TraceStore:
    """Newest traces in the sequence of their first arrival."""

    def __init__(self, *, max_traces: int = 5_000) -> None:
        self._max_traces = max_traces
        self._traces: OrderedDict[str, Trace] = OrderedDict()
        self._full_ids: dict[str, str] = {}
        self._order: dict[str, int] = {}
        self._arrived = 0
        self._index: TagIndex[str] = TagIndex()

    def __len__(self) -> int:
        return len(self._traces)

    def add(self, spans: Sequence[Span], tags: Iterable[str]) -> None:
        """Add the spans of a chunk. All spans belong to the same trace."""
        if not spans:
            return
        trace = self._open(self._full_id(spans))
        trace.tags = tagging.normalised_all((*trace.tags, *tags))
        terms = {tagging.split(tag) for tag in trace.tags}
        for span in spans:
            if len(trace.spans) < _MAX_SPANS or span["span_id"] in trace.spans:
                trace.spans[span["span_id"]] = span
                terms.update(_span_terms(span))
        self._index.add(trace.trace_id, terms - trace.terms)
        trace.terms |= terms

    def find(
        self, *, tags: Iterable[str] = (), service: str = "", name: str = "", limit: int = 100
    ) -> Sequence[Trace]:
        """Return traces with all those terms (each may be on another span), newest first."""
        terms = [_tag_term(tag) for tag in tags]
        terms += [(key, value) for key, value in ((_SERVICE, service), (_NAME, name)) if value]
        ids = self._index.having(terms) if terms else self._traces.keys()
        newest = heapq.nlargest(limit, ids, key=self._order.__getitem__)
        return [self._traces[full_id] for full_id in newest]

    def count(self, tag: str) -> int:
        return len(self._index.having([_tag_term(tag)]))

    def get(self, full_id: str) -> Trace | None:
        return self._traces.get(full_id)

    def tag_values(self, name: str) -> Iterable[str]:
        return self._index.values(name)

    def _full_id(self, spans: Sequence[Span]) -> str:
        """Return the full id. If the chunk lacks the upper half, the lower half identifies the trace."""
        full_id = trace_id(spans)
        low = full_id[_HALF_LENGTH:]
        return self._full_ids.get(low, full_id) if full_id.startswith(_ZERO_HIGH) else full_id

    def _open(self, full_id: str) -> Trace:
        trace = self._traces.get(full_id)
        if trace is not None:
            return trace
        while len(self._traces) >= self._max_traces:
            old_id, old = self._traces.popitem(last=False)
            self._index.remove(old_id, old.terms)
            del self._order[old_id]
            self._full_ids.pop(old_id[_HALF_LENGTH:], None)
        self._full_ids[full_id[_HALF_LENGTH:]] = full_id
        self._arrived += 1
        self._order[full_id] = self._arrived
        trace = self._traces[full_id] = Trace(trace_id=full_id)
        return trace


def _tag_term(tag: str) -> Term:
    """Normalize a span tag, because tags are matched case-insensitively, as those of metrics are."""
    return tagging.split(tagging.normalised(tag))


def _span_terms(span: Span) -> Iterable[Term]:
    yield _SERVICE, str(span.get("service") or "")
    yield _NAME, str(span["name"])
    for key, value in (span.get("meta") or {}).items():
        if not key.startswith("_dd.") and len(str(value)) <= _MAX_INDEXED_LENGTH:
            yield _tag_term(f"{key}:{value}")
