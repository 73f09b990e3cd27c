"""Select the checks of a container and their configuration from the ad.datadoghq.com annotations (v2 and v1) of its
pod.

Pure. Template variables are replaced in every text of the configuration. The tags of the pod are added to those of
the instance, as Datadog's Autodiscovery does, so that a check sends them without access to pods.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from purpleflea_sandbox.datadog import tags as tagging
from purpleflea_sandbox.datadog.node_agent import origin
from purpleflea_sandbox.datadog.node_agent.pods import Container, Pod

DEFAULT_INTERVAL_S = 15.0
MIN_INTERVAL_S = 1.0
MAX_INSTANCES = 32
"""Maximum per container, because any user who can create pods can write annotations."""
TOLERATE_UNREADY = "ad.datadoghq.com/tolerate-unready"

_VARIABLE = re.compile(r"%%([a-z]+(?:_[A-Za-z0-9_-]+)?)%%")


class ConfigurationError(Exception):
    """A configuration is invalid; the message contains the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTemplate:
    """A check as configured, before variables are replaced."""

    check: str
    init_config: Mapping[str, Any]
    instances: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckInstance:
    """A check to run against a container. If any field changes, the id changes too."""

    id: str
    check: str
    init_config: Mapping[str, Any]
    instance: Mapping[str, Any]
    interval_s: float
    pod: str


def check_instances(
    pod: Pod, by_image: Mapping[str, Sequence[CheckTemplate]] | None = None
) -> tuple[tuple[CheckInstance, ...], tuple[str, ...]]:
    """Return the checks of a pod, and the problems of their configuration.

    `by_image` are the conf.d templates by short image name. If a container has an annotation, it replaces them.
    """
    checks: list[CheckInstance] = []
    problems: list[str] = []
    for container in pod.containers if _is_checkable(pod) else ():
        try:
            templates = _annotated(pod, container)
            if templates is None:
                templates = (by_image or {}).get(short_name(container.image), ())
            checks.extend(instances(templates, pod, container))
        except ConfigurationError as error:
            location = f"container {container.name} of pod {pod.namespace}/{pod.name}"
            problems.append(f"the checks of {location} do not run: {error}")
    return tuple(checks), tuple(problems)


def instances(
    templates: Sequence[CheckTemplate], pod: Pod, container: Container
) -> Sequence[CheckInstance]:
    """Return the instances of the templates for a container. Raises ConfigurationError."""
    if not container.id:
        return ()  # it is not running
    resolved = [
        _instance(template, written, pod, container)
        for template in templates
        for written in template.instances
    ]
    if len(resolved) > MAX_INSTANCES:
        raise ConfigurationError(f"{len(resolved)} instances; at most {MAX_INSTANCES} are allowed")
    # Remove duplicate instances, because each would be a second run for the same series.
    return tuple({instance.id: instance for instance in resolved}.values())


def template(check: Any, config: Any) -> CheckTemplate:
    """Parse a check of a v2 annotation or of a conf.d file. Raises ConfigurationError."""
    if not isinstance(config, Mapping):
        raise ConfigurationError(f"{check}: it must be an object with `instances`")
    init_config, written = config.get("init_config") or {}, config.get("instances")
    if not isinstance(init_config, Mapping):
        raise ConfigurationError(f"{check}: `init_config` must be an object")
    if not (isinstance(written, list) and all(isinstance(item, Mapping) for item in written)):
        raise ConfigurationError(f"{check}: `instances` must be a list of objects")
    return CheckTemplate(check=str(check), init_config=init_config, instances=tuple(written))


def short_name(image: str) -> str:
    """Return the name used in ad_identifiers: the image without registry, tag and digest."""
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0]


def _is_checkable(pod: Pod) -> bool:
    tolerated = pod.annotations.get(TOLERATE_UNREADY) == "true"
    return bool(pod.address) and (pod.is_ready or tolerated)


def _annotated(pod: Pod, container: Container) -> Sequence[CheckTemplate] | None:
    prefix = f"ad.datadoghq.com/{container.name}."
    if f"{prefix}checks" in pod.annotations:
        document = _json(pod, f"{prefix}checks", Mapping)
        return [template(check, config) for check, config in document.items()]
    if f"{prefix}check_names" not in pod.annotations:
        return None
    names, init_configs, written = (
        _json(pod, prefix + key, list) for key in ("check_names", "init_configs", "instances")
    )
    if not len(names) == len(init_configs) == len(written):
        raise ConfigurationError("check_names, init_configs and instances differ in length")
    return [
        # Each item of `instances` is either one instance or a list of instances.
        template(
            name, {"init_config": init, "instances": item if isinstance(item, list) else [item]}
        )
        for name, init, item in zip(names, init_configs, written, strict=True)
    ]


def _json(pod: Pod, key: str, kind: type[Any]) -> Any:
    try:
        document = json.loads(pod.annotations.get(key, ""))
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"annotation {key} is not valid JSON: {error}") from error
    if not isinstance(document, dict if kind is Mapping else kind):
        wanted = "object" if kind is Mapping else "list"
        raise ConfigurationError(f"annotation {key} must be a JSON {wanted}")
    return document


def _instance(
    written: CheckTemplate, instance: Mapping[str, Any], pod: Pod, container: Container
) -> CheckInstance:
    init_config = _replaced(written.init_config, pod, container)
    resolved = _replaced(instance, pod, container)
    own = resolved.get("tags") or []
    if not isinstance(own, list):
        raise ConfigurationError(f"{written.check}: `tags` must be a list")
    pod_tags = origin.pod_tags(pod, container=container.name, cardinality="low")
    resolved["tags"] = list(tagging.merged([str(tag) for tag in own], pod_tags))
    text = json.dumps([init_config, resolved, container.id], sort_keys=True)
    return CheckInstance(
        id=f"{written.check}:{hashlib.sha256(text.encode()).hexdigest()[:16]}",
        check=written.check,
        init_config=init_config,
        instance=resolved,
        interval_s=_interval(written.check, {**init_config, **resolved}),
        pod=f"{pod.namespace}/{pod.name}",
    )


def _interval(check: str, config: Mapping[str, Any]) -> float:
    value = config.get("min_collection_interval", DEFAULT_INTERVAL_S)
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise ConfigurationError(
            f"{check}: min_collection_interval is {value!r}; it must be seconds up to a day"
        )
    return max(MIN_INTERVAL_S, seconds)


def _replaced(value: Any, pod: Pod, container: Container) -> Any:
    if isinstance(value, Mapping):
        return {key: _replaced(item, pod, container) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, pod, container) for item in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: _variable(match[1], pod, container), value)
    return value


def _variable(name: str, pod: Pod, container: Container) -> str:
    known = {
        "host": f"[{pod.address}]" if ":" in pod.address else pod.address,
        "kube_namespace": pod.namespace,
        "kube_pod_name": pod.name,
        "kube_pod_uid": pod.uid,
        **dict(_ports(container)),
    }
    if name not in known:
        raise ConfigurationError(f"%%{name}%% has no value here; available are {', '.join(known)}")
    return known[name]


def _ports(container: Container) -> Iterator[tuple[str, str]]:
    """Yield port variables: `port` is the highest port, `port_0` the lowest, `port_http` the port with that name."""
    ports = sorted(container.ports, key=lambda port: port.number)
    for index, port in enumerate(ports):
        yield f"port_{index}", str(port.number)
        if port.name:
            yield f"port_{port.name}", str(port.number)
        yield "port", str(port.number)
