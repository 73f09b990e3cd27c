"""Sensitive Data Scanner: replaces keys and wallet addresses before Datadog stores the logs.

The scanner is the second protection, because the log annotations of the agents already mask on the node (see
`manifests`). It scans only the logs of the agents.
"""

from dataclasses import dataclass

from purpleflea_contract import secrets
from purpleflea_operator.datadog.definitions.objects import (
    ORGANIZATION_SCANNER,
    Definition,
    ObjectKind,
    Reference,
)
from purpleflea_operator.datadog.definitions.parameters import Feature, Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanningRule:
    """Data that must not be stored.

    If there are `keywords`, one of them must be near the match, because the pattern alone also matches other text.
    """

    key: str
    name: str
    pattern: str
    keywords: tuple[str, ...] = ()


SCANNING_RULES = (
    ScanningRule(
        key="api-keys",
        name="Purple Flea API keys",
        pattern=rf"\b{secrets.API_KEY}\b",
    ),
    ScanningRule(
        key="private-keys", name="Private keys of wallets", pattern=rf"\b{secrets.PRIVATE_KEY}\b"
    ),
    ScanningRule(
        key="ethereum-addresses",
        name="Wallet addresses (Ethereum and its kin)",
        pattern=r"\b0x[0-9a-fA-F]{40}\b",
    ),
    ScanningRule(
        key="bitcoin-addresses",
        name="Wallet addresses (Bitcoin)",
        pattern=r"\b(?:bc1[a-z0-9]{25,59}|[13][1-9A-HJ-NP-Za-km-z]{25,34})\b",
        keywords=("address", "wallet", "btc", "bitcoin"),
    ),
    ScanningRule(
        key="solana-addresses",
        name="Wallet addresses (Solana)",
        pattern=r"\b[1-9A-HJ-NP-Za-km-z]{32,44}\b",
        keywords=("address", "wallet", "sol", "solana"),
    ),
)
GROUP = Reference(kind=ObjectKind.SCANNER_GROUP, key="agents")
KEYWORD_DISTANCE = 30
"""Characters between a keyword and a match, at most."""


def definitions(parameters: Parameters) -> tuple[Definition, ...]:
    """Return the group, then its rules."""
    return (_group(parameters), *(_rule(rule, parameters) for rule in SCANNING_RULES))


def _group(parameters: Parameters) -> Definition:
    attributes = {
        "name": "Purple Flea trading agents",
        "description": "Keys and wallet addresses in the agents' logs.",
        "filter": {"query": f"service:{parameters.service}"},
        "is_enabled": True,
        "product_list": ["logs"],
    }
    configuration = {
        "type": "sensitive_data_scanner_configuration",
        "id": ORGANIZATION_SCANNER.token,
    }
    body = {
        "data": {
            "type": "sensitive_data_scanner_group",
            "attributes": attributes,
            "relationships": {"configuration": {"data": configuration}},
        },
        "meta": {},
    }
    return Definition(
        kind=GROUP.kind,
        key=GROUP.key,
        body=body,
        references=(ORGANIZATION_SCANNER,),
        feature=Feature.SCANNER,
    )


def _rule(rule: ScanningRule, parameters: Parameters) -> Definition:
    attributes = {
        "name": rule.name,
        "pattern": rule.pattern,
        "is_enabled": True,
        "priority": 1,
        "tags": [f"sensitive_data:{rule.key}", f"team:{parameters.team}"],
        "text_replacement": {"type": "replacement_string", "replacement_string": "[masked]"},
    }
    if rule.keywords:
        attributes["included_keyword_configuration"] = {
            "keywords": list(rule.keywords),
            "character_count": KEYWORD_DISTANCE,
        }
    group = {"type": "sensitive_data_scanner_group", "id": GROUP.token}
    body = {
        "data": {
            "type": "sensitive_data_scanner_rule",
            "attributes": attributes,
            "relationships": {"group": {"data": group}},
        },
        "meta": {},
    }
    return Definition(
        kind=ObjectKind.SCANNER_RULE,
        key=rule.key,
        body=body,
        references=(GROUP,),
        feature=Feature.SCANNER,
    )
