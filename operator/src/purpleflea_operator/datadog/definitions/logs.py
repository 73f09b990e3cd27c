"""The log pipeline, and the optional log index with its place in the order.

JSON lines are parsed before pipelines, and timestamp, message and dd.trace_id are read by their default names: what is
left to a pipeline is the level, whose line it is, and the field name of agents written after the published page.
"""

from purpleflea_contract import facets, tags
from purpleflea_operator.datadog.definitions.objects import Definition, ObjectKind
from purpleflea_operator.datadog.definitions.parameters import Feature, Parameters

PUBLISHED_EVENT_FIELD = "event"
"""The published logger calls the event's field so; our agents write it under its final name."""


def definitions(parameters: Parameters) -> tuple[Definition, ...]:
    """Pipeline, index, order of indexes."""
    return (_pipeline(parameters), _index(parameters), _order(parameters))


def _pipeline(parameters: Parameters) -> Definition:
    body = {
        "name": "Purple Flea trading agents",
        "is_enabled": True,
        "filter": {"query": f"service:{parameters.service}"},
        "processors": [
            {
                # Without it a business field called status would become the level.
                "type": "status-remapper",
                "name": "Level of the line",
                "is_enabled": True,
                "sources": ["level"],
            },
            {
                # The pods of a StatefulSet share their annotations, so no tag says it; monitors group by it.
                "type": "attribute-remapper",
                "name": "Agent of the line, as a tag",
                "is_enabled": True,
                "source_type": "attribute",
                "sources": [tags.AGENT_ID.name],
                "target_type": "tag",
                "target": tags.AGENT_ID.name,
                "preserve_source": True,
                "override_on_conflict": False,
            },
            {
                "type": "attribute-remapper",
                "name": "Event type of agents that call it event",
                "is_enabled": True,
                "source_type": "attribute",
                "sources": [PUBLISHED_EVENT_FIELD],
                "target_type": "attribute",
                "target": facets.EVENT_TYPE.path,
                "preserve_source": True,
                "override_on_conflict": False,
            },
        ],
        "tags": parameters.tags,
    }
    return Definition(kind=ObjectKind.LOG_PIPELINE, key="agents", body=body)


def _index(parameters: Parameters) -> Definition:
    index = parameters.log_index
    body = {
        "name": index.name,
        "filter": {"query": f"service:{parameters.service}"},
        "num_retention_days": index.retention_days,
        "daily_limit": index.daily_limit,
    }
    return Definition(kind=ObjectKind.LOG_INDEX, key="agents", body=body, feature=Feature.LOG_INDEX)


def _order(parameters: Parameters) -> Definition:
    index = parameters.log_index
    body = {"index_names": [index.name, *index.others]}
    return Definition(
        kind=ObjectKind.LOG_INDEX_ORDER, key="organisation", body=body, feature=Feature.LOG_INDEX
    )
