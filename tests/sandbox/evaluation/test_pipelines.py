"""What log pipelines make of a log before anything searches or counts it."""

import pytest

from purpleflea_sandbox.datadog.api.organisation import Organisation
from purpleflea_sandbox.datadog.evaluation.pipelines import processed
from purpleflea_sandbox.datadog.intake import messages
from purpleflea_sandbox.datadog.intake.store import Store


def a_log(text='{"agent_id": "momentum-0", "a": {"b": 1}}', tags="env:prod", service="agents"):
    return messages.log({"message": text, "ddtags": tags, "service": service}, 1.0)


def a_remapper(**changes):
    usual = {
        "type": "attribute-remapper",
        "is_enabled": True,
        "source_type": "attribute",
        "sources": ["agent_id"],
        "target_type": "tag",
        "target": "agent_id",
        "preserve_source": True,
        "override_on_conflict": False,
    }
    return usual | changes


def a_pipeline(*processors, query="service:agents", is_enabled=True):
    found = processors or (a_remapper(),)
    return {"filter": {"query": query}, "is_enabled": is_enabled, "processors": list(found)}


def test_an_attribute_becomes_a_tag_and_stays():
    found = processed(a_log(), [a_pipeline()])
    assert found.tags == ("agent_id:momentum-0", "env:prod")
    assert found.attributes["agent_id"] == "momentum-0"


@pytest.mark.parametrize(
    "pipeline",
    [
        a_pipeline(query="service:others"),
        a_pipeline(query="service:agents env:staging"),
        a_pipeline(query="(service:agents OR"),
        a_pipeline(is_enabled=False),
        a_pipeline(a_remapper(is_enabled=False)),
        a_pipeline(a_remapper(sources=["elsewhere"])),
        a_pipeline(a_remapper(source_type="tag")),
        a_pipeline({"type": "status-remapper", "is_enabled": True, "sources": ["level"]}),
    ],
)
def test_what_a_pipeline_does_not_take_stays_as_it_was(pipeline):
    assert processed(a_log(), [pipeline]) == a_log()


@pytest.mark.parametrize("query", ["", "*", "service:agents", "env:prod"])
def test_a_pipeline_takes_what_its_filter_means(query):
    assert processed(a_log(), [a_pipeline(query=query)]) != a_log()


def test_a_tag_that_is_there_wins_unless_it_may_be_replaced():
    tagged = a_log(tags="agent_id:other")
    assert processed(tagged, [a_pipeline()]) == tagged
    replaced = processed(tagged, [a_pipeline(a_remapper(override_on_conflict=True))])
    assert replaced.tags == ("agent_id:momentum-0",)


def test_an_attribute_is_renamed_and_one_that_is_there_wins():
    rename = a_remapper(target_type="attribute", target="who", preserve_source=False)
    assert processed(a_log(), [a_pipeline(rename)]).attributes == {
        "who": "momentum-0",
        "a": {"b": 1},
    }
    kept = a_remapper(target_type="attribute", target="a.b")
    assert processed(a_log(), [a_pipeline(kept)]) == a_log()


def test_the_second_pipeline_sees_what_the_first_one_made():
    second = a_pipeline(
        a_remapper(target_type="attribute", target="seen"), query="agent_id:momentum-0"
    )
    found = processed(a_log(), [a_pipeline(), second])
    assert found.attributes["seen"] == "momentum-0"


def test_a_log_is_processed_when_it_arrives_by_the_pipelines_there_are_then():
    organisation = Organisation(Store())
    organisation.data.logs.add(a_log())
    organisation.logs.pipelines["agents"] = a_pipeline()
    organisation.data.logs.add(a_log())
    newest, oldest = organisation.data.logs.newest()
    assert "agent_id:momentum-0" in newest.tags
    assert "agent_id:momentum-0" not in oldest.tags
