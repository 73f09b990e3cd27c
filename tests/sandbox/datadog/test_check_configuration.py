"""From annotations and files to check instances: what Datadog's Autodiscovery would run, and what it would refuse."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from purpleflea_sandbox.datadog.node_agent.checks import conf_d
from purpleflea_sandbox.datadog.node_agent.checks.configuration import (
    MOST_INSTANCES,
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


def test_variables_are_replaced_wherever_they_stand(pod: Pod) -> None:
    instance = {
        "url": "http://%%host%%:%%port_http%%",
        "ports": ["%%port%%", "%%port_0%%", "%%port_1%%"],
        "who": {"is": "%%kube_namespace%%/%%kube_pod_name%%/%%kube_pod_uid%%"},
        "number": 3,
    }
    (found,), problems = check_instances(one_check(pod, **instance))
    assert problems == ()
    assert found.instance["url"] == "http://10.0.0.7:8000"
    assert found.instance["ports"] == ["9000", "8000", "9000"]
    assert found.instance["who"] == {"is": f"trading/momentum-0/{pod.uid}"}
    assert (found.instance["number"], found.check, found.where) == (
        3,
        "hello",
        "trading/momentum-0",
    )


def test_an_address_of_version_6_is_put_in_brackets(pod: Pod) -> None:
    at_six = dataclasses.replace(pod, address="fd00::7")
    (found,), _ = check_instances(one_check(at_six, url="http://%%host%%:8000"))
    assert found.instance["url"] == "http://[fd00::7]:8000"


def test_the_tags_of_the_pod_follow_those_of_the_instance(pod: Pod) -> None:
    (found,), _ = check_instances(one_check(pod, tags=["desk:crypto", "env:prod"]))
    tags = found.instance["tags"]
    assert tags[:2] == ["desk:crypto", "env:prod"]
    assert {"service:pf-agent", "agent_id:momentum-0", "kube_namespace:trading"} <= set(tags)
    assert len(tags) == len(set(tags))
    assert not [tag for tag in tags if tag.startswith("pod_name:")]


def test_the_first_version_of_the_annotations_is_read_too(pod: Pod) -> None:
    old = annotated(
        pod,
        check_names=["one", "two"],
        init_configs=[{}, {"a": 1}],
        instances=[[{"x": 1}, {"x": 2}], {"x": 3}],
    )
    found, _ = check_instances(old)
    assert [(one.check, one.instance["x"]) for one in found] == [("one", 1), ("one", 2), ("two", 3)]
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
def test_the_interval_is_that_of_the_instance(pod: Pod, written: Any, seconds: float) -> None:
    (found,), _ = check_instances(one_check(pod, **written))
    assert found.interval_s == seconds


def test_no_interval_is_shorter_than_a_second(pod: Pod) -> None:
    (found,), _ = check_instances(one_check(pod, min_collection_interval=0.001))
    assert found.interval_s == 1


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ("{", "annotation ad.datadoghq.com/agent.checks is no JSON"),
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
            "%%env_HOME%% has no value here; known are host",
        ),
        (
            {"a": {"instances": [{"x": n} for n in range(33)]}},
            f"at most {MOST_INSTANCES} are allowed",
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_the_pod_and_the_place(
    pod: Pod, checks: Any, words: str
) -> None:
    found, (problem,) = check_instances(annotated(pod, checks=checks))
    assert found == ()
    assert problem.startswith(
        "the checks of container agent of pod trading/momentum-0 do not run: "
    )
    assert words in problem


def test_lists_of_the_first_version_must_fit_together(pod: Pod) -> None:
    written = annotated(pod, check_names=["a"], init_configs=[], instances=[{}])
    assert "differ in length" in check_instances(written)[1][0]


@pytest.mark.parametrize(
    "change",
    [{"address": ""}, {"is_ready": False}, {"containers": (Container(name="agent"),)}],
    ids=str,
)
def test_what_does_not_run_or_is_not_ready_is_not_checked(pod: Pod, change: Any) -> None:
    assert check_instances(dataclasses.replace(one_check(pod), **change)) == ((), ())


def test_the_same_instance_twice_is_run_once(pod: Pod) -> None:
    written = annotated(pod, checks={"hello": {"instances": [{"a": 1}, {"a": 1}]}})
    assert len(check_instances(written)[0]) == 1


def test_files_of_conf_d_are_for_images_and_an_annotation_replaces_them(
    pod: Pod, tmp_path: Path
) -> None:
    (tmp_path / "hello.yaml").write_text(
        "ad_identifiers: [purpleflea-agent]\ninstances: [{from: file}]"
    )
    (tmp_path / "other.d").mkdir()
    (tmp_path / "other.d" / "conf.yaml").write_text("ad_identifiers: [x]\ninstances: [{}]")
    by_image = conf_d.templates(tmp_path)

    assert {image: [t.check for t in found] for image, found in by_image.items()} == {
        "purpleflea-agent": ["hello"],
        "x": ["other"],
    }
    assert [one.instance["from"] for one in check_instances(pod, by_image)[0]] == ["file"]
    nearer = one_check(pod, **{"from": "annotation"})
    assert [one.instance["from"] for one in check_instances(nearer, by_image)[0]] == ["annotation"]


@pytest.mark.parametrize(
    "text", ["", "[", "- a", "instances: [{}]", "ad_identifiers: []\ninstances: []"]
)
def test_a_file_that_cannot_be_used_is_named_and_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    (tmp_path / "good.yaml").write_text("ad_identifiers: [x]\ninstances: [{}]")

    (template,) = conf_d.templates(tmp_path)["x"]
    assert template == CheckTemplate(check="good", init_config={}, instances=({},))
    assert "bad.yaml is not used" in caplog.text


def test_a_folder_that_is_not_there_has_no_files(tmp_path: Path) -> None:
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
