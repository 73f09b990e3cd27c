"""Users' annotations for Datadog's Autodiscovery: the checks and logs that the node agent collects from a pod. Pure.

The node agent runs a check with its own environment, files, secrets and network. An annotation could therefore send its
API key to a pod (`%%env_DD_API_KEY%%`), read files of the node, or request hosts that the pod itself cannot reach. So
an annotation is used only if everything in it is known to be about its own pod. Any other is ignored as a whole.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

PREFIX = "ad.datadoghq.com/"
LEGACY_PREFIX = "service-discovery.datadoghq.com/"
"""Prefix of Agent 5, which later versions still read."""

_POD_SWITCHES = ("exclude", "logs_exclude", "metrics_exclude", "tolerate-unready")
_CONTAINER_SWITCHES = ("exclude", "logs_exclude", "metrics_exclude")
_CHECK_KEYS = frozenset(
    {"init_config", "instances", "logs", "ignore_autodiscovery_tags", "check_tag_cardinality"}
)
"""Keys of a check. The node agent compares them without case, so a key in another case would replace one of these."""
_LOG_KEYS = frozenset(
    {
        *("service", "source", "sourcecategory", "tags", "log_processing_rules", "encoding"),
        *("auto_multi_line_detection", "auto_multi_line", "max_message_size_bytes"),
        *("auto_multi_line_sample_size", "auto_multi_line_match_threshold"),
    }
)
"""Keys of a log source. The others select another source, such as a file of the node or a port."""
_NODE_CHECKS = frozenset(
    {
        *("process", "disk", "directory", "network", "system_core", "system_swap", "file_handle"),
        *("kubelet", "kubernetes_state", "kubernetes_state_core", "kubernetes_apiserver"),
        *("docker", "containerd", "cri", "crio", "container", "container_image", "ebpf", "gpu"),
        *("snmp", "ssh_check", "ntp", "systemd", "journald", "win32_event_log", "io", "load"),
        *("orchestrator", "orchestrator_pod", "cloud_foundry_api", "vsphere", "network_path"),
    }
)
"""Checks of the node, of the cluster or of a whole network, whatever their instance says."""

_HOST = r"%%host(?:_[A-Za-z0-9_.-]{1,63})?%%"
_PORT = r"(?:[0-9]{1,5}|%%port(?:_[A-Za-z0-9_.-]{1,63})?%%)"
_OWN_ADDRESS = re.compile(rf"(?:{_HOST}|\[{_HOST}\])(?::{_PORT})?")
_OWN_URL = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*://{_OWN_ADDRESS.pattern}(?:[/?#][^\s\\]*)?")
_VARIABLE = re.compile(
    rf"{_HOST}|%%port(?:_[A-Za-z0-9_.-]{{1,63}})?%%"
    r"|%%(?:pid|hostname|kube_namespace|kube_pod_name|kube_pod_uid)%%"
)
"""Template variables that the node agent replaces with properties of the pod."""
_ADDRESS_KEY = re.compile(
    r"(?:.*_)?(?:hosts?|hostnames?|servers?|ur[il]s?|endpoints?|addr(?:ess(?:es)?)?|ips?|dsn|targets?"
    r"|prox(?:y|ies)|brokers?|nodes?|peers?|connect_str|connection_string|socket|domain|hub)(?:_.*)?",
    re.IGNORECASE,
)
_REFUSED_KEY = re.compile(
    r"bearer_token_.*|auth_token|auth_type|aws_.*|kerberos_.*|ntlm_.*|java_.*|tools_jar_.*|is_jmx|jmx_url"
    r"|process_name_regex|custom_jar_.*|loader|.*_command|command|exec",
    re.IGNORECASE,
)
"""Keys that make the check use the credentials, programs or files of the node agent."""
_FILE = re.compile(r"\s*(?:/|~|\\|\.\.?/|[A-Za-z]:[\\/])|.*file:", re.DOTALL | re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"\[?[\w.-]*[\w:.-]*\]?:[0-9]{1,5}|(?:[0-9]{1,3}\.){3}[0-9]{1,3}")
_TEXT_KEYS = frozenset({"tags", "metrics", "extra_metrics", "exclude_metrics", "labels_mapper"})
"""Keys whose values are names or expressions, such as the tag shard:12."""

NOT_ABOUT_THE_POD = "it does not name %%host%%, so the check would not be about the pod"


class _FormError(ValueError):
    """The content of an annotation has another form than Datadog documents."""


def ignored(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations for Autodiscovery that are not used, each with the reason."""
    reasons = {key: reason for key, text in annotations.items() if (reason := _reason(key, text))}
    # The three lists of version 1 belong together.
    for key in annotations:
        group = _group(key)
        faulty = next((item for item in reasons if group and _group(item) == group), None)
        if faulty is not None:
            reasons.setdefault(key, f"it belongs to {faulty}")
    return reasons


def _group(key: str) -> str:
    identifier, _, kind = key.removeprefix(PREFIX).partition(".")
    is_list = kind in ("check_names", "init_configs", "instances")
    return identifier if key.startswith(PREFIX) and is_list else ""


def _reason(key: str, text: str) -> str:
    """Return why an annotation is not used; empty if it is used, or is not one for Autodiscovery."""
    if key.startswith(LEGACY_PREFIX):
        return f"use {PREFIX} instead of this prefix"
    if not key.startswith(PREFIX):
        return ""
    name = key.removeprefix(PREFIX)
    kind = name.partition(".")[2]
    if name in _POD_SWITCHES or kind in _CONTAINER_SWITCHES:
        return "" if text.lower() in ("true", "false") else "it is neither true nor false"
    reader = _READERS.get("tags" if name == "tags" else kind)
    if reader is None:
        return "the annotation is not supported"
    try:
        return next(reader(_decoded(text)), "")
    except _FormError as error:
        return str(error)
    except (ValueError, RecursionError):
        return "it is not valid JSON, or has a duplicate key"


def _decoded(text: str) -> Any:
    def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key occurs twice")
        return found

    return json.loads(text, object_pairs_hook=without_duplicates)


def _tags(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        raise _FormError("it is not a JSON object")
    yield from _in_texts(value)


def _names(value: Any) -> Iterator[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _FormError("it is not a list of names")
    for name in value:
        yield from _in_name(name)
    yield from _in_texts(value)


def _configs(value: Any) -> Iterator[str]:
    yield from _in_settings(value, "")


def _instances(value: Any) -> Iterator[str]:
    if not isinstance(value, list):
        raise _FormError("the instances are not a list")
    for item in value:
        if isinstance(item, list):
            yield from _instances(item)
        elif not isinstance(item, dict):
            yield "an instance is not a JSON object"
        else:
            yield from _in_settings(item, "")
            if not _names_own_host(item):
                yield NOT_ABOUT_THE_POD


def _checks(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        raise _FormError("it is not a JSON object")
    for name, check in value.items():
        yield from _in_name(name)
        if not isinstance(check, dict) or not check.keys() <= _CHECK_KEYS:
            raise _FormError(f"a check has a key besides {', '.join(sorted(_CHECK_KEYS))}")
        yield from _in_settings(check.get("init_config"), "")
        yield from _instances(check.get("instances", []))
        yield from _logs(check.get("logs", []))
        yield from _in_texts([check.get("check_tag_cardinality")])


def _logs(value: Any) -> Iterator[str]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _FormError("the logs are not a list of JSON objects")
    for source in value:
        unknown = sorted(source.keys() - _LOG_KEYS)
        if unknown:
            yield f"a log source has the key {unknown[0][:64]!r}, so it could read more than the container's output"
    yield from _in_texts(value)


_READERS: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "tags": _tags,
    "logs": _logs,
    "checks": _checks,
    "check_names": _names,
    "init_configs": _configs,
    "instances": _instances,
}


def _in_name(name: str) -> Iterator[str]:
    if name.strip().lower() in _NODE_CHECKS:
        yield f"the check {name.strip()} is about the node or the cluster, not about the pod"
    yield from _in_texts([name])


def _in_settings(value: Any, key: str) -> Iterator[str]:
    """Yield why the settings of a check may be about something besides the pod."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if _REFUSED_KEY.fullmatch(name.strip()):
                yield f"{name.strip()} uses credentials or programs of the node agent"
            yield from _in_texts([name])
            inherits = _ADDRESS_KEY.fullmatch(key) or key in _TEXT_KEYS
            yield from _in_settings(item, key if inherits else name.strip())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _in_settings(item, key)
    elif isinstance(value, str):
        yield from _in_texts([value])
        yield from _in_setting(value, key)


def _in_setting(value: str, key: str) -> Iterator[str]:
    is_own = bool(_OWN_ADDRESS.fullmatch(value) or _OWN_URL.fullmatch(value))
    is_address = _ADDRESS_KEY.fullmatch(key) is not None or "://" in value
    if key not in _TEXT_KEYS:
        is_address = is_address or _HOST_AND_PORT.fullmatch(value.strip()) is not None
    if is_address and not is_own:
        yield f"{key[:64] or 'a value'} is an address besides %%host%%"
    if _FILE.match(value):
        yield f"{key[:64] or 'a value'} is a file of the node agent"


def _in_texts(value: Any) -> Iterator[str]:
    """Yield why a text, or one inside of a list or an object, is not used, whatever its meaning is."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _in_texts([name, item])
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _in_texts(item)
    elif isinstance(value, str):
        # Replaced by a character that cannot become part of another variable.
        if "%%" in _VARIABLE.sub(" ", value):
            yield "it has a template variable besides those of the pod, such as %%host%% and %%port%%"
        if "ENC[" in value:
            yield "it refers to a secret of the node agent"


def _names_own_host(value: Any) -> bool:
    """Return whether a setting for an address names the pod."""
    return any(
        isinstance(item, str)
        and _ADDRESS_KEY.fullmatch(key)
        and bool(_OWN_ADDRESS.fullmatch(item) or _OWN_URL.fullmatch(item))
        for key, item in value.items()
    )
