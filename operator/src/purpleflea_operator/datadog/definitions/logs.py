"""Log pipeline, and the optional log index with its position before the other indexes.

Datadog parses JSON lines before pipelines run, and reads timestamp, message and dd.trace_id by their default names.
Therefore the pipeline sets only the level, the tag agent_id, and the event type of agents that use the published field.
"""

from purpleflea_contract import facets, tags
from purpleflea_operator.datadog.definitions.objects import Definition, ObjectKind
from purpleflea_operator.datadog.definitions.parameters import Feature, Parameters

PUBLISHED_EVENT_FIELD = "event"
"""Name of the event type in the published logger. The agents of this project write the final name."""


def definitions(parameters: Parameters) -> tuple[Definition, ...]:
    """Return the pipeline, the index, and the sequence of the indexes."""
    return (_pipeline(parameters), _index(parameters), _index_sequence(parameters))


def _pipeline(parameters: Parameters) -> Definition:
    body = {
        "name": "Purple Flea trading agents",
        "is_enabled": True,
        "filter": {"query": f"service:{parameters.service}"},
        "processors": [
            {
                # Without this processor, a business field with the name status would become the level.
                "type": "status-remapper",
                "name": "Level of the line",
                "is_enabled": True,
                "sources": ["level"],
            },
            {
                # The pods of a StatefulSet share their annotations, so the tags of a pod do not include agent_id.
                # The log monitor groups by it.
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


def _index_sequence(parameters: Parameters) -> Definition:
    body = {"index_names": [parameters.log_index.name, *parameters.other_indexes]}
    return Definition(
        kind=ObjectKind.LOG_INDEX_ORDER, key="organisation", body=body, feature=Feature.LOG_INDEX
    )
