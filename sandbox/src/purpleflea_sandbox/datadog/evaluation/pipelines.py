"""Apply the log pipelines of an organization to a new log. Pure.

Only attribute-remappers are implemented, from an attribute to an attribute or a tag, because the other processors
that this project generates do not affect searches or counts here. If a log arrives before its pipeline is created, it
is not changed later.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from purpleflea_sandbox.datadog import tags as tagging
from purpleflea_sandbox.datadog.evaluation import logs
from purpleflea_sandbox.datadog.intake.log_store import Log
from purpleflea_sandbox.datadog.queries import read, tree

Pipeline = Mapping[str, Any]
REMAPPER = "attribute-remapper"


def process(log: Log, pipelines: Iterable[Pipeline]) -> Log:
    """Return the log after all pipelines that match it, in sequence."""
    for pipeline in pipelines:
        terms = _filter(pipeline["filter"]["query"]) if pipeline["is_enabled"] else None
        if terms is None or not all(logs.matches(log, term) for term in terms):
            continue
        for processor in pipeline["processors"]:
            if processor["type"] == REMAPPER and processor.get("is_enabled"):
                log = _remap(log, processor)
    return log


@lru_cache(maxsize=256)
def _filter(query: str) -> tuple[tree.Term, ...] | None:
    """Parse a pipeline's filter. Returns None if it is not readable here; such a pipeline matches no log."""
    if query in ("", "*"):
        return ()
    try:
        return read.search(query)
    except read.UnreadableError:
        return None


def _remap(log: Log, remapper: Pipeline) -> Log:
    sources, target = remapper["sources"], remapper["target"]
    values = [value for name in sources for value in logs.attribute(log, name)]
    if remapper.get("source_type") != "attribute" or not values:
        return log
    may_replace = remapper.get("override_on_conflict", False)
    if remapper.get("target_type") == "tag":
        log = _add_tag(log, target, values[0], may_replace=may_replace)
    elif may_replace or not logs.attribute(log, target):
        log = replace(log, attributes={**log.attributes, target: values[0]})
    if remapper.get("preserve_source"):
        return log
    remaining = {name: value for name, value in log.attributes.items() if name not in sources}
    return replace(log, attributes=remaining)


def _add_tag(log: Log, name: str, value: str, *, may_replace: bool) -> Log:
    others = [tag for tag in log.tags if tagging.split(tag)[0] != name]
    if len(others) < len(log.tags) and not may_replace:
        return log
    return replace(log, tags=tagging.normalised_all([*others, f"{name}:{value}"]))
