"""Log pipelines change a log before it is searched or counted."""

import pytest

from purpleflea_sandbox.datadog.api.organisation import Organisation
from purpleflea_sandbox.datadog.evaluation.pipelines import process
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
    processors = processors or (a_remapper(),)
    return {"filter": {"query": query}, "is_enabled": is_enabled, "processors": list(processors)}


def test_attribute_becomes_a_tag_and_is_kept():
    processed_log = process(a_log(), [a_pipeline()])
    assert processed_log.tags == ("agent_id:momentum-0", "env:prod")
    assert processed_log.attributes["agent_id"] == "momentum-0"


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
def test_log_that_no_pipeline_matches_is_unchanged(pipeline):
    assert process(a_log(), [pipeline]) == a_log()


@pytest.mark.parametrize("query", ["", "*", "service:agents", "env:prod"])
def test_a_pipeline_processes_logs_that_its_filter_matches(query):
    assert process(a_log(), [a_pipeline(query=query)]) != a_log()


def test_existing_tag_is_kept_unless_override_is_set():
    tagged = a_log(tags="agent_id:other")
    assert process(tagged, [a_pipeline()]) == tagged
    replaced = process(tagged, [a_pipeline(a_remapper(override_on_conflict=True))])
    assert replaced.tags == ("agent_id:momentum-0",)


def test_attribute_is_renamed_unless_the_target_exists():
    rename = a_remapper(target_type="attribute", target="who", preserve_source=False)
    assert process(a_log(), [a_pipeline(rename)]).attributes == {
        "who": "momentum-0",
        "a": {"b": 1},
    }
    kept = a_remapper(target_type="attribute", target="a.b")
    assert process(a_log(), [a_pipeline(kept)]) == a_log()


def test_second_pipeline_processes_the_result_of_the_first():
    second = a_pipeline(
        a_remapper(target_type="attribute", target="seen"), query="agent_id:momentum-0"
    )
    processed_log = process(a_log(), [a_pipeline(), second])
    assert processed_log.attributes["seen"] == "momentum-0"


def test_log_is_processed_by_the_pipelines_that_exist_on_arrival():
    organisation = Organisation(Store())
    organisation.data.logs.add(a_log())
    organisation.logs.pipelines["agents"] = a_pipeline()
    organisation.data.logs.add(a_log())
    newest, oldest = organisation.data.logs.newest()
    assert "agent_id:momentum-0" in newest.tags
    assert "agent_id:momentum-0" not in oldest.tags
