"""Pure: where an object is seen in Datadog's web pages."""

from purpleflea_operator.observability.objects import Kind

PAGES = {
    Kind.MONITOR: "/monitors/{id}",
    Kind.SLO: "/slo?slo_id={id}",
    Kind.DASHBOARD: "/dashboard/{id}",
    Kind.LOG_PIPELINE: "/logs/pipelines",
    Kind.LOG_INDEX: "/logs/pipelines/indexes",
    Kind.LOG_INDEX_ORDER: "/logs/pipelines/indexes",
    Kind.METRIC_TAGS: "/metric/summary?metric={id}",
    Kind.SCANNER_GROUP: "/organization-settings/sensitive-data-scanner",
    Kind.SCANNER_RULE: "/organization-settings/sensitive-data-scanner",
    Kind.NOTEBOOK: "/notebook/{id}",
}


def link(page_url: str, kind: Kind, identifier: str) -> str:
    """The address of an object's page."""
    return page_url + PAGES[kind].format(id=identifier)
