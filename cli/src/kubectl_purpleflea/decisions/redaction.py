"""Removes keys, secrets and account data from the content of a support archive. Pure.

Fields are kept only if they are known to be harmless where objects of users may have anything: values of variables,
annotations of other programs, and data of Secrets and ConfigMaps are replaced. Texts are searched for keys and amounts.
"""

import re
from collections.abc import Mapping
from typing import Any

from kubectl_purpleflea.decisions.objects import Manifest, mapping, text

MASK = "REDACTED"
_SECRET_KEY = re.compile(
    r"(key|token|secret|password|passwd|credential|authorization|cookie|bearer)", re.IGNORECASE
)
_NAMES_OF_SECRETS = re.compile(r"(Ref|Name|Secrets?|Policy|Mount|File|name)$")
_ACCOUNT_KEY = re.compile(
    r"(balance|equity|pnl|wallet|position|amount|notional|price|quantity|fee|escrow|counterparty|account|drawdown|order_id)",
    re.IGNORECASE,
)
_ACCOUNT_LIMITS = re.compile(r"^(max|min)[A-Z]")
_PATTERNS = (
    re.compile(r"-----BEGIN [A-Z ]+-----.*?(-----END [A-Z ]+-----|\Z)", re.DOTALL),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"),
    re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(
        r"(?i)([\"']?[\w.-]*(api[_-]?key|app[_-]?key|token|secret|password|passwd)[\w.-]*[\"']?\s*[:=]\s*)[\"']?[^\s\"',;}]+"
    ),
    re.compile(r"\b(pf|pk|sk|dd)_[A-Za-z0-9_-]{8,}"),
    re.compile(r"\b[0-9a-fA-F]{32,}\b"),
    re.compile(r"\b0x[0-9a-fA-F]{16,}\b"),
    re.compile(r"://[^/\s:@]+:[^/\s@]+@"),
)
_AMOUNT = re.compile(
    r"(?i)([\"']?[\w.]*(balance|equity|pnl|amount|notional|price|quantity|wallet|fees?)[\w.]*[\"']?\s*[:=]\s*)[\"']?-?[\d.]+[\"']?"
)
_KEPT_ANNOTATIONS = "purpleflea.com/"


def redacted_text(content: str) -> str:
    """Return a text, such as log lines, without keys and amounts."""
    for pattern in _PATTERNS:
        content = pattern.sub(
            lambda m: f"{m[1]}{MASK}" if m.re.groups > 1 and m[1] else MASK, content
        )
    return _AMOUNT.sub(rf"\g<1>{MASK}", content)


def redacted_object(manifest: Manifest) -> Any:
    """Return an object of the cluster without secrets and account data."""
    kind = text(manifest.get("kind"))
    found = dict(manifest)
    if kind in ("Secret", "ConfigMap"):
        kept = {"control.json"} if kind == "ConfigMap" else set()
        for group in ("data", "stringData", "binaryData"):
            if group in found:
                found[group] = {
                    key: redacted_text(str(value)) if key in kept else MASK
                    for key, value in mapping(found[group]).items()
                }
    return _redacted(found)


def _redacted(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        if "name" in value and "value" in value:
            # A variable of a container.
            return {**{k: _redacted(v, k) for k, v in value.items()}, "value": MASK}
        if key == "annotations":
            return {k: _annotation(k, v) for k, v in value.items()}
        return {k: _redacted(v, k) for k, v in value.items() if k != "managedFields"}
    if isinstance(value, list | tuple):
        if key in ("args", "command"):
            return [MASK for _ in value]
        return [_redacted(item, key) for item in value]
    if isinstance(value, str):
        if _is_secret(key) or _is_account(key):
            return MASK
        return redacted_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and _is_account(key):
        return MASK
    return value


def _annotation(key: str, value: Any) -> Any:
    is_kept = key.startswith(_KEPT_ANNOTATIONS) and not key.endswith("/settings")
    return redacted_text(str(value)) if is_kept else MASK


def _is_secret(key: str) -> bool:
    return bool(_SECRET_KEY.search(key)) and not _NAMES_OF_SECRETS.search(key) and key != "key"


def _is_account(key: str) -> bool:
    return bool(_ACCOUNT_KEY.search(key)) and not _ACCOUNT_LIMITS.search(key) and key != "positions"
