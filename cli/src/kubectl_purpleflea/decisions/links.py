"""Addresses of an agent in Datadog. Pure."""

from collections.abc import Mapping
from urllib.parse import quote

from kubectl_purpleflea.decisions.objects import Manifest, at, name_of, text

DEFAULT_SITE = "datadoghq.com"
# Sites whose web application has no prefix app.
_WITHOUT_PREFIX = ("us3.", "us5.", "ap1.", "ap2.")


def links(agent: Manifest, site: str = "", agent_id: str = "") -> Mapping[str, str]:
    """Return the addresses of traces, logs, metrics and pods of an agent, or of one identity."""
    host = site or DEFAULT_SITE
    base = f"https://{host}" if host.startswith(_WITHOUT_PREFIX) else f"https://app.{host}"
    env = text(at(agent, "spec", "datadog", "env")) or "production"
    service = text(at(agent, "spec", "datadog", "service")) or "purpleflea-trading-agent"
    names = [agent_id] if agent_id else [f"{name_of(agent)}-*"]
    query = " ".join([f"env:{env}", f"service:{service}", *(f"agent_id:{name}" for name in names)])
    spans = query.replace("agent_id:", "@agent_id:")
    return {
        "traces": f"{base}/apm/traces?query={quote(spans)}",
        "service": f"{base}/apm/services/{quote(service)}?env={quote(env)}",
        "logs": f"{base}/logs?query={quote(query)}",
        "metrics": f"{base}/metric/summary?filter=agent.&tags={quote(f'env:{env}')}",
        "monitors": f"{base}/monitors/manage?q={quote(f'service:{service} env:{env}')}",
        "pods": f"{base}/orchestration/explorer/pod?query={quote(f'purpleflea.com/strategy:* {name_of(agent)}')}",
    }
