import pytest

from purpleflea_operator.controllers.agent import mount_refresh
from purpleflea_operator.controllers.agent.decisions.observed_state import pod
from purpleflea_operator.controllers.agent.decisions.plan import RefreshConfigMount
from purpleflea_operator.kube import errors
from support.builders import a_pod


class Annotations:
    """A cluster that annotates pods, unless an error is set."""

    def __init__(self, error):
        self.error = error
        self.requests = []

    async def annotate(self, ref, annotations):
        self.requests.append((ref.name, annotations))
        raise self.error


def nudges():
    return [RefreshConfigMount(pod=pod(a_pod(f"momentum-{n}")), nudge="Halted") for n in range(3)]


async def test_every_pod_is_nudged_if_some_are_gone():
    cluster = Annotations(errors.NotFound("gone"))
    await mount_refresh.refresh_config_mount(cluster, "trading", nudges())
    assert len(cluster.requests) == 3


async def test_a_failed_nudge_is_reported_after_all_pods_were_tried():
    cluster = Annotations(errors.Unavailable("away"))
    with pytest.raises(errors.Unavailable):
        await mount_refresh.refresh_config_mount(cluster, "trading", nudges())
    assert len(cluster.requests) == 3


class Replaced(Annotations):
    """A cluster in which another pod has the name of each pod."""

    async def annotate(self, ref, annotations):
        stored = a_pod(ref.name, annotations=annotations)
        stored["metadata"]["uid"] = f"uid-of-another-{ref.name}"
        return stored


@pytest.mark.parametrize(
    ("cluster", "stored"),
    [
        (Annotations(errors.NotFound("gone")), []),
        (Replaced(None), [f"uid-of-another-momentum-{n}" for n in range(3)]),
    ],
    ids=["deleted", "replaced"],
)
async def test_a_pod_that_is_gone_is_reported_and_its_successor_stored(cluster, stored):
    gone, found = [], []
    await mount_refresh.refresh_config_mount(
        cluster, "trading", nudges(), on_stored=found.append, on_gone=gone.append
    )
    assert gone == [f"uid-momentum-{n}" for n in range(3)]
    assert [item["metadata"]["uid"] for item in found] == stored


async def test_a_pod_that_is_annotated_is_not_reported_as_gone():
    class Stored(Annotations):
        async def annotate(self, ref, annotations):
            return a_pod(ref.name, annotations=annotations)

    gone, found = [], []
    await mount_refresh.refresh_config_mount(
        Stored(None), "trading", nudges(), on_stored=found.append, on_gone=gone.append
    )
    assert (gone, len(found)) == ([], 3)


class Stripping(Annotations):
    """A cluster with an admission webhook that removes the annotation."""

    async def annotate(self, ref, annotations):
        self.requests.append((ref.name, annotations))
        return a_pod(ref.name)


async def test_an_annotation_that_is_not_stored_is_a_failure_and_retried_with_backoff():
    cluster, stored = Stripping(None), []
    with pytest.raises(errors.Unavailable, match="correct the admission webhook"):
        await mount_refresh.refresh_config_mount(
            cluster, "trading", nudges(), on_stored=stored.append
        )
    assert len(cluster.requests) == len(stored) == 3
