"""Each text of a spec that becomes a text of another grammar is valid there: labels, tags, variables and paths."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.datadog.detection.connection import Connection, ConnectionMode
from purpleflea_operator.manifests import user_tags
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults, label_value, version_of
from purpleflea_operator.manifests.user_overrides import user_overrides
from support.builders import a_spec

LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
KEY = re.compile(
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
TAG = re.compile(r"[a-z][a-z0-9_\-./:]{0,198}[a-z0-9\-./:]")
HOST_IP = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)

tags_of_images = st.from_regex(r"\A[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z")
tag_values = st.from_regex(r"\A[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?\Z")
strategies = st.from_regex(r"\A[a-z]([a-z0-9_-]{0,61}[a-z0-9])?\Z")


def an_agent(**changes):
    spec = AgentSpec.model_validate(a_spec(**changes), extra="forbid")
    return Agent(namespace="trading", name="momentum", uid="u", generation=1, spec=spec)


def version(tag, **changes):
    image = {"repository": "registry.example.com/demo", "tag": tag}
    return version_of(an_agent(image=image, **changes), Defaults(image="x:1"))


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("1.0.0", "1.0.0"),
        ("release-", "release"),
        ("_", "unknown"),
        ("__1.2__", "1.2"),
        ("1.0.", "1.0"),
        ("-", None),
        ("a" * 63, "a" * 63),
    ],
)
def test_the_tag_of_the_image_becomes_a_valid_version(tag, expected):
    if expected is not None:
        assert version(tag) == expected
    assert label_value(tag) == (expected or "").replace("unknown", "")


def test_long_tags_with_the_same_beginning_are_different_versions():
    one, other = (version("b" * 70 + end) for end in ("1", "2"))
    assert one != other
    assert all(LABEL.fullmatch(item) for item in (one, other))


@pytest.mark.parametrize(
    "image",
    [
        "localhost/agent",
        "localhost:5000/agent",
        "agent@sha256:" + "0" * 64,
        "localhost:5000/agent:1@sha256:" + "0" * 64,
        "agent:-é b",
        "agent:" + "-" * 80,
    ],
)
def test_the_default_image_becomes_a_valid_version(image):
    found = version_of(an_agent(), Defaults(image=image))
    assert found
    assert LABEL.fullmatch(found)


@given(st.text(max_size=200))
def test_every_text_becomes_a_valid_label_value(content):
    found = label_value(content)
    assert LABEL.fullmatch(found)
    assert label_value(found) == found


@settings(max_examples=40, deadline=None)
@given(tags_of_images, tag_values, tag_values, strategies, st.none() | tag_values)
def test_every_text_of_a_spec_is_valid_where_it_is_rendered(tag, env, service, strategy, team):
    agent = an_agent(
        strategy=strategy,
        image={"repository": "acme/agent", "tag": tag},
        datadog={"env": env, "service": service, **({"team": team} if team else {})},
        storage={},
        replicas=2,
        pod={"serviceAccount": {}},
    )
    for child in children(agent, Defaults(image="x:1"), HOST_IP):
        for metadata in all_metadata(child):
            labels = metadata.get("labels", {})
            assert all(LABEL.fullmatch(value) for value in labels.values()), labels
            assert all(KEY.fullmatch(key) for key in (*labels, *metadata.get("annotations", {})))
        for container in containers(child):
            names = [item["name"] for item in container["env"]]
            assert all(re.fullmatch("[A-Z][A-Z0-9_]*", name) for name in names)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.from_regex(r"\A[a-zA-Z][a-zA-Z0-9_./-]{0,30}\Z"), tag_values, max_size=16)
)
def test_the_tags_of_an_agent_are_valid_and_unique_after_normalization(given_tags):
    agent = an_agent(datadog={"tags": given_tags, "team": "desk"})
    (child,) = (
        item
        for item in children(agent, Defaults(image="x:1"), HOST_IP)
        if item["kind"] == "StatefulSet"
    )
    annotations = child["spec"]["template"]["metadata"]["annotations"]
    tags = json.loads(annotations["ad.datadoghq.com/tags"])
    keys = [user_tags.normalized(key) for key in tags]
    assert len(keys) == len(set(keys))
    assert set(keys).isdisjoint({"env", "service", "version", "agent_id", "host"})
    assert tags["strategy"] == "momentum"
    assert tags["team"] == "desk"
    assert all(TAG.fullmatch(f"{key}:{value}".lower()) for key, value in tags.items())


RESERVED_SPELLINGS = (
    *("env", "ENV", "Env", "env_", "env__", "service", "Service", "version", "VERSION", "team"),
    *("Team", "strategy", "STRATEGY", "agent_id", "Agent_ID", "agent__id", "market", "signal"),
    *("reason", "host", "HOST", "device", "source", "status", "pod_name", "Kube_Namespace"),
    *("kube_deployment", "container_name", "image_tag", "dd.internal.entity_id"),
)


@pytest.mark.parametrize("key", RESERVED_SPELLINGS)
def test_no_spelling_of_a_reserved_tag_is_sent_and_the_field_is_reported(key):
    agent = an_agent(datadog={"tags": {key: "other", "desk": "crypto"}})
    assert user_overrides(agent).ignored == (f"spec.datadog.tags[{key}]",)
    (template,) = (
        item["spec"]["template"]
        for item in children(agent, Defaults(image="x:1"), HOST_IP)
        if item["kind"] == "StatefulSet"
    )
    tags = json.loads(template["metadata"]["annotations"]["ad.datadoghq.com/tags"])
    assert tags == {"desk": "crypto", "strategy": "momentum"}


def test_of_two_spellings_of_one_tag_only_one_is_sent():
    agent = an_agent(datadog={"tags": {"desk": "a", "Desk": "b", "desk_": "c"}})
    assert user_tags.effective(agent) == {"Desk": "b"}
    assert user_tags.ignored(agent) == ("desk", "desk_")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("Desk", "desk"),
        ("a b", "a_b"),
        ("a:b", "a"),
        ("1env", "env"),
        ("_env", "env"),
        ("en__v", "en_v"),
        ("env_", "env"),
        ("a/b.c-d", "a/b.c-d"),
        ("---", ""),
    ],
)
def test_keys_are_normalized_as_datadog_does(key, expected):
    assert user_tags.normalized(key) == expected


@pytest.mark.parametrize(
    "key", ["", "1a", "_a", "a:b", "a b", "a,b", "a|b", "a#b", "é", "a\n", "a" * 101, "\uff25NV"]
)
def test_a_key_that_is_not_a_tag_is_refused(key):
    with pytest.raises(ValueError, match="tags"):
        an_agent(datadog={"tags": {key: "x"}})


def all_metadata(child):
    yield child["metadata"]
    spec = child.get("spec", {})
    if "template" in spec:
        yield spec["template"]["metadata"]
    for claim in spec.get("volumeClaimTemplates", ()):
        yield claim["metadata"]


def containers(child):
    return child.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ())
