"""Tags that users add to all telemetry of an agent, without those that the operator, the agent or the node agent sets.

Datadog normalizes the key of a tag, so two spellings can be one tag. A point with two values of one tag appears in
both, which doubles sums and notifies the wrong team.
"""

import re
from collections.abc import Mapping

from purpleflea_contract import tags
from purpleflea_operator.manifests.metadata import Agent

TEAM = "team"
"""Tag of spec.datadog.team."""
CLUSTER = "agent_cluster"
"""Tag of the cluster that agents run in. `kube_cluster_name` is the node agent's."""
RESERVED = frozenset(
    {
        *(item.name for item in vars(tags).values() if isinstance(item, tags.Tag)),
        *tags.UNIFIED,
        TEAM,
        CLUSTER,
        # Attributes with a meaning in Datadog, which the node agent sets.
        *("host", "device", "source", "status"),
        *("pod_name", "pod_phase", "container_name", "container_id", "display_container_name"),
        *("image_name", "image_tag", "image_id", "short_image"),
    }
)
"""Normalized keys that users cannot set."""
RESERVED_PREFIXES = ("kube_", "dd.internal")
"""Prefixes of tags that the node agent sets, and of tags that it interprets."""

_NOT_IN_TAGS = re.compile(r"[^a-z0-9_\-./]")


def normalized(key: str) -> str:
    """Return the key of a tag as Datadog stores it.

    It is in lower case and begins with a letter, other characters are underscores, and underscores are neither repeated
    nor at the end. The key ends at the first colon.
    """
    clean = _NOT_IN_TAGS.sub("_", key.partition(":")[0].lower())
    return re.sub("_+", "_", clean.lstrip("0123456789_-./")).rstrip("_")


def effective(agent: Agent) -> Mapping[str, str]:
    """Return the user's tags that are sent. Of several spellings of one tag, the alphabetically first is sent."""
    spellings: dict[str, str] = {}
    for key in sorted(agent.spec.datadog.tags):
        if not _is_reserved(normalized(key)):
            spellings.setdefault(normalized(key), key)
    return {key: agent.spec.datadog.tags[key] for key in spellings.values()}


def ignored(agent: Agent) -> tuple[str, ...]:
    """Return the keys of the user's tags that are not sent."""
    sent = effective(agent)
    return tuple(key for key in agent.spec.datadog.tags if key not in sent)


def _is_reserved(clean: str) -> bool:
    return clean in RESERVED or clean.startswith(RESERVED_PREFIXES)
