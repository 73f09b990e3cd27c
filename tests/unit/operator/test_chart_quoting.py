"""Every text in the values arrives in the objects as that text, also if YAML reads it as a number or a truth value.

Each text of the schema is set to a marker first. At each place where the marker appears, another text must appear in
the same way.
"""

import functools
import itertools
import json

import jsonschema
import pytest

from support import charts

MARKER = "marker7x"
TEXTS = (
    *("1234", "0123", "0x10", "1e5", "1_000", "1.5", "-1", "12:30:00", "2026-12-01"),
    *("true", "on", "n", "null", "~", ".inf", "---", "..."),
    *("a: b", "a #b", "{{ .Release.Name }}", "a\nb", "a\n---\nkind: Pod", " a ", "\t", "é"),
    *('"', "'", "\\", "%s", "*a", "&a", "!!int 1", "[a", "{a", "a,b"),
)
"""Texts that some reader of YAML, Go's templates or Helm's --set treat in a special way."""
NAMES = ("1234", "7", "0123", "1e5", "on", "true", "null", "n", "0x10", "1-2")
"""The ones among them that are valid names."""
CHARTS = {"operator": charts.OPERATOR}
# Values under which a text appears, which its schema does not show.
FIXED = {
    "operator": {
        "rbac": {"create": True},
        "crds": {"install": False},
        "watchNamespaces": ["trading"],
        "telemetryRights": True,
        "metrics": {
            name: {"enabled": True}
            for name in ("service", "podMonitor", "serviceMonitor", "prometheusRule")
        },
    },
}
CONSUMERS = {
    "operator": {
        "imagePullSecrets": [{"name": MARKER}],
        "extraEnv": [{"name": "EXTRA", "value": MARKER}, {"name": MARKER, "value": "x"}],
        "extraEnvFrom": [{"secretRef": {"name": MARKER}}],
        "extraVolumes": [{"name": MARKER, "configMap": {"name": MARKER}}],
        "extraVolumeMounts": [{"name": MARKER, "mountPath": MARKER}],
        "extraArgs": [f"--namespace={MARKER}"],
        "extraObjects": [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": MARKER, "labels": {MARKER: MARKER}},
                "data": {MARKER: MARKER},
            }
        ],
        "tolerations": [{"key": MARKER, "operator": "Equal", "value": MARKER}],
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": [MARKER]}],
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": MARKER}],
        "affinity": {"podAffinity": {MARKER: MARKER}},
        "dnsConfig": {"searches": [MARKER]},
        "podSecurityContext": {"seLinuxOptions": {"level": MARKER}},
        "securityContext": {"seLinuxOptions": {"level": MARKER}},
        "observability": {
            "secrets": [{"namespace": MARKER, "name": MARKER}],
            "urls": [f"https://{MARKER}"],
        },
        "watchNamespaces": [MARKER],
        "datadog": {"namespaces": [MARKER]},
        "networkPolicy": {"ingressNamespaces": [MARKER]},
        "agent": {"image": {"pullSecrets": [MARKER]}},
        "resources": {"limits": {"memory": MARKER}},
        "metrics": {
            "podMonitor": {"relabelings": [{"targetLabel": MARKER}]},
            "serviceMonitor": {"relabelings": [{"targetLabel": MARKER}]},
            "prometheusRule": {"additionalRules": [{"alert": MARKER, "expr": MARKER}]},
        },
    },
}


def types_of(node):
    found = node.get("type", ())
    return (found,) if isinstance(found, str) else tuple(found)


def candidates(schema, name):
    """Yield values of one field each, with the marker as text: from the schema, and those of the table above."""
    for path, node in charts.properties(schema):
        if "string" in types_of(node):
            yield charts.nested(path, MARKER)
        elif node.get("additionalProperties") == {"type": "string"}:
            yield charts.nested(path, {MARKER: MARKER})
    for key, value in CONSUMERS[name].items():
        yield from single_fields((key,), value)


def single_fields(path, value):
    if isinstance(value, dict) and path[0] in ("agent", "datadog", "metrics", "observability"):
        for key, item in value.items():
            yield from single_fields((*path, key), item)
    else:
        yield charts.nested(path, value)


def with_text(node, text):
    if isinstance(node, dict):
        return {with_text(key, text): with_text(value, text) for key, value in node.items()}
    if isinstance(node, list):
        return [with_text(item, text) for item in node]
    return node.replace(MARKER, text) if isinstance(node, str) else node


@functools.cache
def parts_of(name):
    return list(candidates(charts.schema_of(CHARTS[name]), name))


@functools.cache
def validator_of(name):
    """Return the validator of single values, which are valid without the others."""
    return jsonschema.Draft7Validator(without_required(charts.schema_of(CHARTS[name])))


def without_required(node):
    if isinstance(node, dict):
        return {key: without_required(item) for key, item in node.items() if key != "required"}
    return [without_required(item) for item in node] if isinstance(node, list) else node


def accepted(name, text):
    """Return all values at once whose schema accepts the text."""
    is_valid = validator_of(name).is_valid
    chosen = [part for part in parts_of(name) if is_valid(part) and is_valid(with_text(part, text))]
    return charts.merged(FIXED[name], *chosen)


@functools.cache
def rendered(name, values, release, namespace):
    documents = charts.documents(
        CHARTS[name], json.loads(values), release=release, namespace=namespace
    )
    return json.dumps(documents)


def by_path(name, values, release="release", namespace="namespace", text=MARKER):
    """Return the scalars of the objects, with the text in the place of the marker."""
    documents = json.loads(rendered(name, json.dumps(values), release, namespace))
    return dict(charts.leaves(with_text(documents, text)))


@pytest.mark.parametrize(("name", "text"), list(itertools.product(CHARTS, TEXTS)))
def test_a_text_of_the_values_arrives_as_it_is(name, text):
    values = accepted(name, text)
    found = by_path(name, with_text(values, text))
    assert found == by_path(name, values, text=text)
    assert any(text in item for item in found.values() if isinstance(item, str))


@pytest.mark.parametrize(("name", "word"), list(itertools.product(CHARTS, NAMES)))
def test_a_release_and_a_namespace_with_any_valid_name_are_texts(name, word):
    values = FIXED[name]
    found = by_path(name, values, word, word)
    assert found == by_path(name, values, MARKER, MARKER, text=word)


@pytest.mark.parametrize("name", CHARTS)
def test_every_text_of_the_schema_appears_in_an_object(name):
    """Each value has its own marker. A value that another one replaces is rendered alone."""
    parts = [part for part in parts_of(name) if validator_of(name).is_valid(part)]
    marked = [with_text(part, f"marker{number}x") for number, part in enumerate(parts)]
    found = rendered(name, json.dumps(charts.merged(FIXED[name], *marked)), "release", "namespace")
    missing = [part for number, part in enumerate(marked) if f"marker{number}x" not in found]
    alone = [
        part
        for part in missing
        if "marker" not in rendered(name, json.dumps(charts.merged(FIXED[name], part)), "r", "n")
    ]
    assert alone == []
