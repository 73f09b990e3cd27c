"""Annotations and files become check instances, or errors, as in Datadog's Autodiscovery."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from purpleflea_sandbox.datadog.node_agent.checks import conf_d
from purpleflea_sandbox.datadog.node_agent.checks.configuration import (
    MAX_INSTANCES,
    CheckTemplate,
    check_instances,
)
from purpleflea_sandbox.datadog.node_agent.kubernetes import parsed_pod
from purpleflea_sandbox.datadog.node_agent.pods import Container, Pod, Port

PREFIX = "ad.datadoghq.com/agent."


@pytest.fixture
def pod(momentum_pod: Pod) -> Pod:
    ports = (Port(number=9000, name="admin"), Port(number=8000, name="http"))
    (container,) = momentum_pod.containers
    return dataclasses.replace(
        momentum_pod,
        address="10.0.0.7",
        is_ready=True,
        containers=(dataclasses.replace(container, ports=ports),),
    )


def annotated(pod: Pod, **annotations: Any) -> Pod:
    written = {
        PREFIX + key: value if isinstance(value, str) else json.dumps(value)
        for key, value in annotations.items()
    }
    return dataclasses.replace(pod, annotations={**pod.annotations, **written})


def one_check(pod: Pod, **instance: Any) -> Pod:
    return annotated(pod, checks={"hello": {"instances": [instance]}})


def test_variables_are_replaced_in_every_field(pod: Pod) -> None:
    instance = {
        "url": "http://%%host%%:%%port_http%%",
        "ports": ["%%port%%", "%%port_0%%", "%%port_1%%"],
        "who": {"is": "%%kube_namespace%%/%%kube_pod_name%%/%%kube_pod_uid%%"},
        "number": 3,
    }
    (check,), problems = check_instances(one_check(pod, **instance))
    assert problems == ()
    assert check.instance["url"] == "http://10.0.0.7:8000"
    assert check.instance["ports"] == ["9000", "8000", "9000"]
    assert check.instance["who"] == {"is": f"trading/momentum-0/{pod.uid}"}
    assert (check.instance["number"], check.check, check.pod) == (
        3,
        "hello",
        "trading/momentum-0",
    )


def test_ipv6_address_is_put_in_brackets(pod: Pod) -> None:
    at_six = dataclasses.replace(pod, address="fd00::7")
    (check,), _ = check_instances(one_check(at_six, url="http://%%host%%:8000"))
    assert check.instance["url"] == "http://[fd00::7]:8000"


def test_pod_tags_follow_instance_tags(pod: Pod) -> None:
    (check,), _ = check_instances(one_check(pod, tags=["desk:crypto", "env:prod"]))
    tags = check.instance["tags"]
    assert tags[:2] == ["desk:crypto", "env:prod"]
    assert {"service:pf-agent", "agent_id:momentum-0", "kube_namespace:trading"} <= set(tags)
    assert len(tags) == len(set(tags))
    assert not [tag for tag in tags if tag.startswith("pod_name:")]


def test_version_1_annotations_are_supported(pod: Pod) -> None:
    old = annotated(
        pod,
        check_names=["one", "two"],
        init_configs=[{}, {"a": 1}],
        instances=[[{"x": 1}, {"x": 2}], {"x": 3}],
    )
    instances, _ = check_instances(old)
    assert [(one.check, one.instance["x"]) for one in instances] == [
        ("one", 1),
        ("one", 2),
        ("two", 3),
    ]
    newer, _ = check_instances(annotated(old, checks={"three": {"instances": [{}]}}))
    assert [one.check for one in newer] == ["three"]


def test_the_id_changes_with_the_configuration_and_with_the_container(pod: Pod) -> None:
    def id_of(pod: Pod) -> str:
        return check_instances(pod)[0][0].id

    first = id_of(one_check(pod, a=1))
    restarted = dataclasses.replace(
        pod, containers=(dataclasses.replace(pod.containers[0], id="beef"),)
    )
    assert first == id_of(one_check(pod, a=1))
    assert len({first, id_of(one_check(pod, a=2)), id_of(one_check(restarted, a=1))}) == 3


@pytest.mark.parametrize(
    ("written", "seconds"), [({}, 15), ({"min_collection_interval": 30}, 30)], ids=str
)
def test_interval_comes_from_the_instance(pod: Pod, written: Any, seconds: float) -> None:
    (check,), _ = check_instances(one_check(pod, **written))
    assert check.interval_s == seconds


def test_interval_is_at_least_one_second(pod: Pod) -> None:
    (check,), _ = check_instances(one_check(pod, min_collection_interval=0.001))
    assert check.interval_s == 1


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ("{", "annotation ad.datadoghq.com/agent.checks is not valid JSON"),
        ([], "must be a JSON object"),
        ({"a": 1}, "a: it must be an object with `instances`"),
        ({"a": {}}, "a: `instances` must be a list of objects"),
        ({"a": {"instances": [1]}}, "a: `instances` must be a list of objects"),
        ({"a": {"instances": [], "init_config": 1}}, "a: `init_config` must be an object"),
        ({"a": {"instances": [{"tags": "x"}]}}, "a: `tags` must be a list"),
        (
            {"a": {"instances": [{"min_collection_interval": "soon"}]}},
            "is 'soon'; it must be seconds",
        ),
        ({"a": {"instances": [{"min_collection_interval": 0}]}}, "is 0; it must be seconds"),
        (
            {"a": {"instances": [{"x": "%%env_HOME%%"}]}},
            "%%env_HOME%% has no value here; available are host",
        ),
        (
            {"a": {"instances": [{"x": n} for n in range(33)]}},
            f"at most {MAX_INSTANCES} are allowed",
        ),
    ],
)
def test_invalid_configuration_is_reported_with_pod_and_position(
    pod: Pod, checks: Any, expected: str
) -> None:
    instances, (problem,) = check_instances(annotated(pod, checks=checks))
    assert instances == ()
    assert problem.startswith(
        "the checks of container agent of pod trading/momentum-0 do not run: "
    )
    assert expected in problem


def test_version_1_lists_must_have_the_same_length(pod: Pod) -> None:
    written = annotated(pod, check_names=["a"], init_configs=[], instances=[{}])
    assert "differ in length" in check_instances(written)[1][0]


@pytest.mark.parametrize(
    "change",
    [{"address": ""}, {"is_ready": False}, {"containers": (Container(name="agent"),)}],
    ids=str,
)
def test_containers_that_are_not_running_or_not_ready_are_not_checked(
    pod: Pod, change: Any
) -> None:
    assert check_instances(dataclasses.replace(one_check(pod), **change)) == ((), ())


def test_duplicate_instance_runs_once(pod: Pod) -> None:
    written = annotated(pod, checks={"hello": {"instances": [{"a": 1}, {"a": 1}]}})
    assert len(check_instances(written)[0]) == 1


def test_conf_d_files_apply_to_images_and_annotations_replace_them(
    pod: Pod, tmp_path: Path
) -> None:
    (tmp_path / "hello.yaml").write_text(
        "ad_identifiers: [purpleflea-agent]\ninstances: [{from: file}]"
    )
    (tmp_path / "other.d").mkdir()
    (tmp_path / "other.d" / "conf.yaml").write_text("ad_identifiers: [x]\ninstances: [{}]")
    by_image = conf_d.templates(tmp_path)

    assert {image: [t.check for t in templates] for image, templates in by_image.items()} == {
        "purpleflea-agent": ["hello"],
        "x": ["other"],
    }
    assert [one.instance["from"] for one in check_instances(pod, by_image)[0]] == ["file"]
    nearer = one_check(pod, **{"from": "annotation"})
    assert [one.instance["from"] for one in check_instances(nearer, by_image)[0]] == ["annotation"]


@pytest.mark.parametrize(
    "text", ["", "[", "- a", "instances: [{}]", "ad_identifiers: []\ninstances: []"]
)
def test_invalid_conf_d_file_is_reported_and_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    (tmp_path / "good.yaml").write_text("ad_identifiers: [x]\ninstances: [{}]")

    (template,) = conf_d.templates(tmp_path)["x"]
    assert template == CheckTemplate(check="good", init_config={}, instances=({},))
    assert "bad.yaml is ignored" in caplog.text


def test_missing_conf_d_folder_has_no_files(tmp_path: Path) -> None:
    assert conf_d.templates(tmp_path / "nowhere") == {}


def test_address_readiness_and_ports_come_from_the_pod() -> None:
    item = {
        "metadata": {"uid": "u", "name": "n", "namespace": "ns"},
        "spec": {
            "containers": [
                {"name": "agent", "ports": [{"containerPort": 8000, "name": "http"}]},
                {"name": "plain"},
            ]
        },
        "status": {
            "podIP": "10.0.0.7",
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "X", "status": "False"}],
        },
    }
    pod = parsed_pod(item)
    assert (pod.address, pod.is_ready) == ("10.0.0.7", True)
    assert [one.ports for one in pod.containers] == [(Port(number=8000, name="http"),), ()]
    fresh = parsed_pod({**item, "status": {}})
    assert (fresh.address, fresh.is_ready) == ("", False)
