"""Select the containers to collect logs from, and their log settings, from the ad.datadoghq.com annotations of a pod.

Pure. Collection is opt-in by annotation unless `collect_all` is set.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from purpleflea_sandbox.datadog import tags as tagging
from purpleflea_sandbox.datadog.node_agent import origin, rules
from purpleflea_sandbox.datadog.node_agent.pods import Container, Pod
from purpleflea_sandbox.datadog.node_agent.rules import Rule


class AnnotationError(Exception):
    """An annotation is invalid; the message contains the annotation, the pod and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """Log settings of a container."""

    pod_uid: str
    directory: str
    """Folder of the container's files, relative to the folder of all pod logs."""
    source: str
    service: str
    tags: tuple[str, ...]
    rules: tuple[Rule, ...] = ()


def log_sources(pod: Pod, *, collect_all: bool) -> tuple[tuple[LogSource, ...], tuple[str, ...]]:
    """Return the log sources of a pod, and the problems of its annotations."""
    sources: list[LogSource] = []
    problems: list[str] = []
    for container in pod.containers:
        try:
            source = log_source(pod, container, collect_all=collect_all)
        except AnnotationError as error:
            problems.append(str(error))
        else:
            sources.extend([source] if source else [])
    return tuple(sources), tuple(problems)


def log_source(pod: Pod, container: Container, *, collect_all: bool) -> LogSource | None:
    """Return the log source of a container, or None if its logs are not collected."""
    key = f"ad.datadoghq.com/{container.name}.logs"
    text = pod.annotations.get(key)
    if text is None:
        excluded = pod.annotations.get("ad.datadoghq.com/logs_exclude") == "true"
        return _source(pod, container, {}) if collect_all and not excluded else None
    try:
        config = json.loads(text)
        if not (isinstance(config, list) and config and isinstance(config[0], Mapping)):
            raise AnnotationError("it must be a JSON list with one object")
        return _source(pod, container, config[0])
    except (json.JSONDecodeError, AnnotationError, rules.RuleError) as error:
        pod_name = f"{pod.namespace}/{pod.name}"
        raise AnnotationError(f"annotation {key} of pod {pod_name} is ignored: {error}") from error


def _source(pod: Pod, container: Container, config: Mapping[str, Any]) -> LogSource:
    image = container.image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    service = str(config.get("service", ""))
    own = [str(tag) for tag in config.get("tags", ())]
    return LogSource(
        pod_uid=pod.uid,
        directory=f"{pod.namespace}_{pod.name}_{pod.uid}/{container.name}",
        source=str(config.get("source", "")) or image or "kubernetes",
        service=service
        or origin.standard_tag(pod, "service", container.name)
        or image
        or container.name,
        tags=tagging.merged(
            own,
            origin.pod_tags(pod, container=container.name, cardinality="orchestrator"),
        ),
        rules=rules.compiled(config.get("log_processing_rules", [])),
    )
