"""Tags that a packet gets from its pod."""

import dataclasses

import pytest

from purpleflea_sandbox.datadog.dogstatsd import Origin
from purpleflea_sandbox.datadog.node_agent.origin import Tagger, pod_tags
from purpleflea_sandbox.datadog.node_agent.pods import Pod, PodMemory

OF_THE_POD = (
    "env:prod",
    "service:pf-agent",
    "version:1.4.2",
    "agent_id:momentum-0",
    "strategy:momentum",
    "kube_namespace:trading",
    "kube_stateful_set:momentum",
)


@pytest.fixture
def memory(momentum_pod: Pod) -> PodMemory:
    memory = PodMemory()
    memory.put(momentum_pod)
    return memory


def test_entity_tag_is_replaced_by_the_tags_of_the_pod(
    memory: PodMemory, momentum_pod: Pod
) -> None:
    tags = Tagger(pods=memory).tagged(
        ("market:btc-usd", f"dd.internal.entity_id:{momentum_pod.uid}"), Origin()
    )

    assert tags == ("market:btc-usd", *OF_THE_POD)


def test_a_tag_that_client_and_pod_both_have_appears_once(
    memory: PodMemory, momentum_pod: Pod
) -> None:
    entity = f"dd.internal.entity_id:{momentum_pod.uid}"

    tags = Tagger(pods=memory).tagged(("env:prod", "agent_id:momentum-0", entity), Origin())

    assert len(tags) == len(set(tags))
    assert set(tags) == set(OF_THE_POD)


def test_external_data_is_used_only_with_client_origin_detection(
    memory: PodMemory, momentum_pod: Pod
) -> None:
    origin = Origin(external=f"it-false,cn-agent,pu-{momentum_pod.uid}")

    assert Tagger(pods=memory).tagged((), origin) == ()
    trusting = Tagger(pods=memory, trust_client=True).tagged((), origin)
    assert set(trusting) == {*OF_THE_POD, "kube_container_name:agent"}


def test_container_id_identifies_its_pod(memory: PodMemory) -> None:
    tagger = Tagger(pods=memory, trust_client=True)

    assert "agent_id:momentum-0" in tagger.tagged((), Origin(container="ci-c0ffee"))
    assert tagger.tagged((), Origin(container="ci-unknown")) == ()


def test_cardinality_selects_pod_name_and_container_id(memory: PodMemory) -> None:
    tagger = Tagger(pods=memory, trust_client=True)
    client_origin = Origin(external="cn-agent,pu-" + next(iter(memory.running())).uid)

    def tags(cardinality: str) -> set[str]:
        return set(tagger.tagged((), dataclasses.replace(client_origin, cardinality=cardinality)))

    assert tags("none") == set()
    assert tags("orchestrator") - tags("low") == {"pod_name:momentum-0"}
    assert tags("high") - tags("orchestrator") == {"container_id:c0ffee"}


def test_deleted_pod_still_tags_late_data(memory: PodMemory, momentum_pod: Pod) -> None:
    memory.replace([])

    assert memory.running() == ()
    entity = f"dd.internal.entity_id:{momentum_pod.uid}"
    assert "agent_id:momentum-0" in Tagger(pods=memory).tagged((entity,), Origin())


def test_container_labels_take_precedence_over_pod_labels(momentum_pod: Pod) -> None:
    labels = {**momentum_pod.labels, "tags.datadoghq.com/agent.version": "2.0"}
    pod = dataclasses.replace(momentum_pod, labels=labels)

    assert "version:2.0" in pod_tags(pod, container="agent")
    assert "version:1.4.2" in pod_tags(pod, container="sidecar")


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"'])
def test_invalid_tags_annotation_adds_no_tags(momentum_pod: Pod, text: str) -> None:
    pod = dataclasses.replace(momentum_pod, annotations={"ad.datadoghq.com/tags": text})

    assert not [tag for tag in pod_tags(pod) if tag.startswith("agent_id:")]
