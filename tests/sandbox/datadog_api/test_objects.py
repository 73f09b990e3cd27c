"""SLOs, dashboards, log configuration, metrics, notebooks, the scanner: create, update, delete and validation of
each.
"""

import json
from pathlib import Path
from typing import Any

import pytest

OBSERVABILITY = Path(__file__).parents[3] / "observability"


def generated(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((OBSERVABILITY / name).read_text())
    return document


async def create(ask, path: str, body: Any, status: int = 200) -> Any:
    answered, document = await ask("POST", path, body)
    assert answered == status, document
    return document


# SLOs


async def test_slo_create_read_update_delete(ask) -> None:
    body = generated("slo.json")
    created = (await create(ask, "/api/v1/slo", body))["data"][0]
    path = f"/api/v1/slo/{created['id']}"
    changed, _ = await ask("PUT", path, body | {"name": "renamed"})
    _, read = await ask("GET", path)
    deleted = await ask("DELETE", path)

    assert changed == 200
    assert (read["data"]["name"], read["data"]["created_at"]) == ("renamed", created["created_at"])
    assert read["data"]["thresholds"][0]["target_display"] == "99.0"
    assert deleted == (200, {"data": [created["id"]]})
    assert await ask("GET", path) == (404, {"errors": ["SLO not found"]})


async def test_slos_are_filtered_by_tag_name_and_id(ask) -> None:
    one = (await create(ask, "/api/v1/slo", generated("slo.json")))["data"][0]
    other = generated("slo.json") | {"name": "other", "tags": ["team:other"]}
    await create(ask, "/api/v1/slo", other)

    async def filtered(query: str) -> list[str]:
        _, body = await ask("GET", f"/api/v1/slo?{query}")
        assert body["metadata"]["page"]["total_count"] == 2
        return [slo["name"] for slo in body["data"]]

    assert len(await filtered("")) == 2
    assert await filtered("tags_query=team:other") == ["other"]
    assert await filtered("query=OTH") == ["other"]
    assert await filtered(f"ids={one['id']}") == [one["name"]]
    assert await filtered("limit=1&offset=1") == ["other"]
    assert await filtered("metrics_query=nosuch") == []


async def test_slo_on_a_dashboard_is_deleted_only_if_forced(ask) -> None:
    slo = (await create(ask, "/api/v1/slo", generated("slo.json")))["data"][0]["id"]
    widget = {
        "definition": {
            "type": "slo",
            "slo_id": slo,
            "view_type": "detail",
            "view_mode": "overall",
            "time_windows": ["30d"],
        }
    }
    body = {"title": "x", "layout_type": "ordered", "widgets": [widget]}
    dashboard = (await create(ask, "/api/v1/dashboard", body))["id"]
    reason = f"slo {slo} is referenced in dashboard_id: {dashboard}"

    assert await ask("DELETE", f"/api/v1/slo/{slo}") == (409, {"errors": reason, "data": None})
    status, body = await ask("GET", f"/api/v1/slo/can_delete?ids={slo}")
    assert (status, body) == (409, {"data": {"ok": []}, "errors": {slo: reason}})
    assert (await ask("DELETE", f"/api/v1/slo/{slo}?force=true"))[0] == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"colour": "red"}, 400),
        ({"thresholds": []}, 400),
        ({"thresholds": [{"timeframe": "30d", "target": 101}]}, 400),
        ({"query": {"numerator": "nonsense", "denominator": "nonsense"}}, 400),
        ({"type": "monitor", "monitor_ids": [7]}, 404),
    ],
)
async def test_invalid_slo_is_rejected(ask, change, status) -> None:
    assert (await ask("POST", "/api/v1/slo", generated("slo.json") | change))[0] == status


async def test_slo_without_a_warning_returns_none(ask) -> None:
    body = generated("slo.json")
    body["thresholds"] = [{"timeframe": "7d", "target": 95}]
    created = (await create(ask, "/api/v1/slo", body))["data"][0]

    assert created["thresholds"] == [{"timeframe": "7d", "target": 95, "target_display": "95.0"}]


async def test_slo_can_be_deleted_if_no_dashboard_references_it(ask) -> None:
    slo = (await create(ask, "/api/v1/slo", generated("slo.json")))["data"][0]["id"]
    await create(ask, "/api/v1/dashboard", generated("dashboard.json"))

    assert await ask("GET", f"/api/v1/slo/can_delete?ids={slo}") == (
        200,
        {"data": {"ok": [slo]}, "errors": None},
    )


async def test_slo_type_cannot_be_changed(ask) -> None:
    slo = (await create(ask, "/api/v1/slo", generated("slo.json")))["data"][0]["id"]
    body = generated("slo.json") | {"type": "monitor", "monitor_ids": []}

    assert (await ask("PUT", f"/api/v1/slo/{slo}", body))[0] == 400


async def test_monitor_of_an_slo_is_deleted_only_if_forced(ask) -> None:
    query = "max(last_5m):max:a.b{*} > 1"
    monitor = (await create(ask, "/api/v1/monitor", {"type": "query alert", "query": query}))["id"]
    body = generated("slo.json") | {"type": "monitor", "monitor_ids": [monitor]}
    slo = (await create(ask, "/api/v1/slo", body))["data"][0]
    status, refused = await ask("DELETE", f"/api/v1/monitor/{monitor}")

    assert status == 400
    assert refused["errors"][0].endswith(f"is referenced in slos: [{slo['id']},{slo['name']}]")


# Dashboards


async def test_dashboard_create_read_update_delete(ask) -> None:
    created = await create(ask, "/api/v1/dashboard", generated("dashboard.json"))
    path = f"/api/v1/dashboard/{created['id']}"
    await ask("PUT", path, generated("dashboard.json") | {"title": "Other"})
    _, read = await ask("GET", path)
    _, listed = await ask("GET", "/api/v1/dashboard")

    assert (read["title"], read["created_at"]) == ("Other", created["created_at"])
    assert all("id" in widget for widget in read["widgets"])
    assert [one["id"] for one in listed["dashboards"]] == [created["id"]]
    assert "widgets" not in listed["dashboards"][0]
    assert await ask("DELETE", path) == (200, {"deleted_dashboard_id": created["id"]})
    assert (await ask("GET", path))[0] == 404


async def test_returned_dashboard_is_accepted_as_an_update(ask) -> None:
    created = await create(ask, "/api/v1/dashboard", generated("dashboard.json"))
    status, after = await ask("PUT", f"/api/v1/dashboard/{created['id']}", created)

    assert status == 200
    assert after["widgets"] == created["widgets"]


async def test_widget_with_an_unknown_field_is_rejected_with_its_position(ask) -> None:
    body = generated("dashboard.json")
    body["widgets"][2]["definition"]["color_preference"] = "background"
    kind = body["widgets"][2]["definition"]["type"]
    status, answer = await ask("POST", "/api/v1/dashboard", body)

    assert status == 400
    assert f"Invalid widget definition at position 2 of type {kind}." in answer["errors"][0]


@pytest.mark.parametrize(
    "change",
    [
        {"title": None},
        {"tags": ["env:prod"]},
        {"tags": [f"team:{number}" for number in range(6)]},
        {"template_variables": [{"name": "a", "default": "b", "defaults": ["b"]}]},
    ],
)
async def test_invalid_dashboard_is_rejected(ask, change) -> None:
    status, _ = await ask("POST", "/api/v1/dashboard", generated("dashboard.json") | change)

    assert status == 400


async def test_widgets_inside_a_group_get_ids_too(ask) -> None:
    note = {"definition": {"type": "note", "content": "hello"}}
    group = {"definition": {"type": "group", "layout_type": "ordered", "widgets": [note]}}
    body = {"title": "x", "layout_type": "ordered", "widgets": [group]}
    created = await create(ask, "/api/v1/dashboard", body)

    assert "id" in created["widgets"][0]["definition"]["widgets"][0]
    assert (await ask("DELETE", "/api/v1/dashboard", {"data": "all"}))[0] == 400


async def test_deletion_of_several_dashboards_is_atomic(ask) -> None:
    body = {"title": "x", "layout_type": "ordered", "widgets": []}
    ids = [(await create(ask, "/api/v1/dashboard", body))["id"] for _ in range(2)]

    def those(*wanted: str) -> dict[str, Any]:
        return {"data": [{"id": one, "type": "dashboard"} for one in wanted]}

    assert (await ask("DELETE", "/api/v1/dashboard", those(*ids, "aaa-aaa-aaa")))[0] == 404
    assert len((await ask("GET", "/api/v1/dashboard"))[1]["dashboards"]) == 2
    assert (await ask("DELETE", "/api/v1/dashboard", those(*ids)))[0] == 204
    assert (await ask("GET", "/api/v1/dashboard"))[1] == {"dashboards": []}


# Logs

PIPELINES = "/api/v1/logs/config/pipelines"
INDEXES = "/api/v1/logs/config/indexes"


async def test_pipeline_create_read_update_delete(ask) -> None:
    body = generated("pipeline.json")
    created = await create(ask, PIPELINES, body)
    path = f"{PIPELINES}/{created['id']}"
    _, changed = await ask("PUT", path, {"name": "other"})

    assert created["type"] == "pipeline"
    assert (changed["name"], changed["processors"]) == ("other", [])
    assert (await ask("GET", PIPELINES))[1] == [changed]
    assert (await ask("DELETE", path))[0] == 200
    assert (await ask("GET", PIPELINES))[1] == []


async def test_missing_pipeline_is_a_bad_request(ask) -> None:
    status, body = await ask("GET", f"{PIPELINES}/nosuch")

    assert (status, body["error"]["code"]) == (400, "InvalidArgument")


async def test_unknown_processor_is_rejected(ask) -> None:
    body = generated("pipeline.json")
    body["processors"].append({"type": "json-parser"})
    status, answer = await ask("POST", PIPELINES, body)

    assert (status, answer["error"]["message"]) == (400, "Invalid Pipeline")


async def test_pipeline_order_must_contain_every_pipeline(ask) -> None:
    ids = [(await create(ask, PIPELINES, {"name": name}))["id"] for name in "abc"]
    order = "/api/v1/logs/config/pipeline-order"
    turned = {"pipeline_ids": ids[::-1]}

    assert await ask("PUT", order, turned) == (200, turned)
    assert (await ask("GET", order))[1] == turned
    assert (await ask("PUT", order, {"pipeline_ids": ids[:2]}))[0] == 422
    assert [one["id"] for one in (await ask("GET", PIPELINES))[1]] == ids[::-1]


async def test_index_create_read_update_delete(ask) -> None:
    body = generated("index.json")
    await create(ask, INDEXES, body)
    name = body["name"]
    again, _ = await ask("POST", INDEXES, body)
    change = {"filter": {"query": "*"}, "num_retention_days": 7}
    _, changed = await ask("PUT", f"{INDEXES}/{name}", change)

    assert again == 400
    assert (changed["name"], changed["num_retention_days"]) == (name, 7)
    assert (await ask("GET", f"{INDEXES}/{name}"))[1] == changed
    assert (await ask("DELETE", f"{INDEXES}/{name}"))[0] == 200
    assert (await ask("GET", f"{INDEXES}/{name}"))[0] == 404


async def test_new_index_comes_after_the_catch_all_index(ask) -> None:
    await create(ask, INDEXES, generated("index.json"))
    order = "/api/v1/logs/config/index-order"
    wanted = generated("index-order.json")

    assert (await ask("GET", order))[1]["index_names"] == wanted["index_names"][::-1]
    assert await ask("PUT", order, wanted) == (200, wanted)
    assert (await ask("PUT", order, {"index_names": ["main"]}))[0] == 400
    assert (await ask("GET", order))[1] == wanted


# Metrics

LATENCY = "agent.order.latency_ms"
TAGS = f"/api/v2/metrics/{LATENCY}/tags"


async def test_only_a_reported_metric_can_be_configured(api, ask) -> None:
    body = generated(f"metrics/{LATENCY}.json")
    expected = {"errors": ["Cannot configure tags on a metric that does not exist."]}

    assert await ask("POST", TAGS, body) == (400, expected)
    api.report(LATENCY, "distribution")
    assert (await ask("POST", TAGS, body))[0] == 201
    status, refused = await ask("POST", TAGS, body)
    assert (status, refused["errors"][0][-20:]) == (409, " use PATCH to update")


async def test_tag_configuration_create_read_update_delete(api, ask) -> None:
    api.report(LATENCY, "distribution")
    api.report("agent.heartbeat", "count")
    body = generated(f"metrics/{LATENCY}.json")
    await create(ask, TAGS, body, 201)
    attributes = {"tags": ["market"], "include_percentiles": False}
    change = {"data": {"type": "manage_tags", "id": LATENCY, "attributes": attributes}}
    status, changed = await ask("PATCH", TAGS, change)

    assert status == 200
    assert changed["data"]["attributes"]["tags"] == ["market"]
    assert (await ask("GET", TAGS))[1] == changed
    _, configured = await ask("GET", "/api/v2/metrics?filter[configured]=true")
    _, others = await ask("GET", "/api/v2/metrics?filter[configured]=false")
    assert [one["id"] for one in configured["data"]] == [LATENCY]
    assert others["data"] == [{"type": "metrics", "id": "agent.heartbeat"}]
    assert (await ask("DELETE", TAGS))[0] == 204
    assert (await ask("GET", TAGS))[0] == 404


async def filtered(ask, query) -> list[str]:
    status, body = await ask("GET", f"/api/v2/metrics?{query}")
    assert status == 200
    return [one["id"] for one in body["data"]]


async def test_metrics_are_filtered_by_recently_sent_tags(api, ask) -> None:
    api.report("a.a", tags=["service:one"])
    api.report("b.b", tags=["service:two"])
    api.report(LATENCY, "distribution", tags=["service:one"])
    await create(ask, TAGS, generated(f"metrics/{LATENCY}.json"), 201)

    assert await filtered(ask, "filter[tags]=service:one") == [LATENCY, "a.a"]
    assert await filtered(ask, "filter[tags]=service:none") == []
    now = api.organisation.now()
    api.organisation.now = lambda: now + 7200
    assert await filtered(ask, "filter[tags]=service:one") == []
    assert await filtered(ask, "filter[tags]=service:one&window[seconds]=86400") == [LATENCY, "a.a"]
    assert await filtered(ask, "filter[configured]=true") == []
    assert await filtered(ask, "filter[configured]=true&window[seconds]=86400") == [LATENCY]
    assert len(await filtered(ask, "window[seconds]=86400")) == 3


@pytest.mark.parametrize(
    "query",
    [
        "filter[tags]=service:one&filter[configured]=true",
        "filter[tags]=service:one%20OR%20service:two",
        "filter[tags]=service:one&window[seconds]=long",
    ],
)
async def test_invalid_metric_search_is_rejected(ask, query) -> None:
    assert (await ask("GET", f"/api/v2/metrics?{query}"))[0] == 400


async def test_metrics_are_listed_in_pages(api, ask) -> None:
    for name in ("a.a", "b.b", "c.c"):
        api.report(name)
    _, first = await ask("GET", "/api/v2/metrics?page[size]=2")
    cursor = first["meta"]["pagination"]["next_cursor"]
    _, second = await ask("GET", f"/api/v2/metrics?page[size]=2&page[cursor]={cursor}")

    assert [one["id"] for one in first["data"]] == ["a.a", "b.b"]
    assert [one["id"] for one in second["data"]] == ["c.c"]
    assert second["meta"]["pagination"]["next_cursor"] is None


@pytest.mark.parametrize(
    ("metric_type", "more"),
    [("gauge", {}), ("distribution", {"colour": "red"})],
)
async def test_tag_configuration_of_another_type_is_rejected(api, ask, metric_type, more) -> None:
    api.report(LATENCY, "distribution")
    attributes = {"metric_type": metric_type, "tags": []} | more
    body = {"data": {"type": "manage_tags", "id": LATENCY, "attributes": attributes}}

    assert (await ask("POST", TAGS, body))[0] == 400


@pytest.mark.parametrize(
    "data",
    [
        {"type": "manage_tags", "id": "another.metric", "attributes": {"tags": []}},
        {"type": "manage_tags", "id": LATENCY},
    ],
)
async def test_tag_configuration_must_match_the_metric_in_the_path(api, ask, data) -> None:
    api.report(LATENCY, "distribution")
    body = generated(f"metrics/{LATENCY}.json")
    await create(ask, TAGS, body, 201)

    assert (await ask("PATCH", TAGS, {"data": data}))[0] == 400


async def test_count_is_configured_without_percentiles(api, ask) -> None:
    api.report("agent.heartbeat", "count")
    body = generated("metrics/agent.heartbeat.json")
    created = await create(ask, "/api/v2/metrics/agent.heartbeat/tags", body, 201)

    assert "include_percentiles" not in created["data"]["attributes"]


async def test_percentiles_require_a_distribution(api, ask) -> None:
    api.report("agent.heartbeat", "count")
    attributes = {"metric_type": "count", "tags": [], "include_percentiles": True}
    body = {"data": {"type": "manage_tags", "id": "agent.heartbeat", "attributes": attributes}}

    assert (await ask("POST", "/api/v2/metrics/agent.heartbeat/tags", body))[0] == 400


async def test_metadata_requires_a_reported_metric(api, ask) -> None:
    path = "/api/v1/metrics/agent.heartbeat"

    assert await ask("GET", path) == (404, {"errors": ["metric_name not found"]})
    api.report("agent.heartbeat", "count")
    status, body = await ask("PUT", path, {"unit": "heartbeat", "description": "alive"})
    assert (status, body["unit"], body["type"]) == (200, "heartbeat", "count")
    assert (await ask("GET", path))[1] == body
    assert (await ask("PUT", path, {"colour": "red"}))[0] == 400


# Notebooks


async def test_notebook_create_read_update_delete(ask) -> None:
    body = generated("notebook.json")
    created = (await create(ask, "/api/v1/notebooks", body))["data"]
    path = f"/api/v1/notebooks/{created['id']}"
    body["data"]["attributes"]["name"] = "Other"
    status, changed = await ask("PUT", path, body)
    _, listed = await ask("GET", "/api/v1/notebooks?query=other&include_cells=false")

    assert status == 200
    assert changed["data"]["attributes"]["created"] == created["attributes"]["created"]
    assert [one["id"] for one in listed["data"]] == [created["id"]]
    assert "cells" not in listed["data"][0]["attributes"]
    assert (await ask("GET", "/api/v1/notebooks?query=nosuch"))[1]["data"] == []
    assert (await ask("DELETE", path))[0] == 204
    assert (await ask("GET", path))[0] == 404


async def test_notebook_without_cells_is_rejected(ask) -> None:
    body = generated("notebook.json")
    del body["data"]["attributes"]["cells"]

    assert (await ask("POST", "/api/v1/notebooks", body))[0] == 400


# Scanner

SCANNER = "/api/v2/sensitive-data-scanner/config"


async def scanner_group(ask) -> str:
    _, configuration = await ask("GET", SCANNER)
    body = generated("scanner/agents.json")
    body["data"]["relationships"]["configuration"]["data"]["id"] = configuration["data"]["id"]
    return str((await create(ask, f"{SCANNER}/groups", body))["data"]["id"])


async def scanner_rule(ask, group: str) -> str:
    body = generated("scanner/rules/api-keys.json")
    body["data"]["relationships"]["group"]["data"]["id"] = group
    return str((await create(ask, f"{SCANNER}/rules", body))["data"]["id"])


async def test_scanner_group_and_rule_create_read_update_delete(ask) -> None:
    group = await scanner_group(ask)
    rule = await scanner_rule(ask, group)
    change = {
        "data": {"type": "sensitive_data_scanner_rule", "attributes": {"is_enabled": False}},
        "meta": {},
    }
    changed, _ = await ask("PATCH", f"{SCANNER}/rules/{rule}", change)
    _, read = await ask("GET", SCANNER)
    kinds = {one["id"]: one for one in read["included"]}

    assert changed == 200
    assert kinds[rule]["attributes"]["is_enabled"] is False
    assert kinds[group]["relationships"]["rules"]["data"][0]["id"] == rule
    assert (await ask("DELETE", f"{SCANNER}/groups/{group}", {"meta": {}}))[0] == 200
    assert (await ask("GET", SCANNER))[1]["included"] == []


async def test_every_scanner_change_increments_the_version_and_old_versions_are_rejected(
    ask,
) -> None:
    group = await scanner_group(ask)
    _, read = await ask("GET", SCANNER)
    version = read["meta"]["version"]
    change = {
        "data": {"type": "sensitive_data_scanner_group", "attributes": {"name": "Other"}},
        "meta": {"version": version},
    }
    path = f"{SCANNER}/groups/{group}"

    assert await ask("PATCH", path, change) == (200, {"meta": {"version": version + 1}})
    assert (await ask("PATCH", path, change))[0] == 400


async def test_group_order_must_contain_every_group(ask) -> None:
    first, second = await scanner_group(ask), await scanner_group(ask)

    def order(*ids: str) -> dict[str, Any]:
        groups = [{"id": one, "type": "sensitive_data_scanner_group"} for one in ids]
        return {"data": {"relationships": {"groups": {"data": groups}}}, "meta": {}}

    assert (await ask("PATCH", SCANNER, order(second, first)))[0] == 200
    assert (await ask("PATCH", SCANNER, order(second)))[0] == 400
    _, read = await ask("GET", SCANNER)
    assert [one["id"] for one in read["data"]["relationships"]["groups"]["data"]] == [second, first]


async def test_group_without_a_filter_is_rejected(ask) -> None:
    body = generated("scanner/agents.json")
    body["data"]["attributes"]["colour"] = "red"

    assert (await ask("POST", f"{SCANNER}/groups", body))[0] == 400


async def test_group_requires_the_configuration_and_rule_requires_its_group(ask) -> None:
    rule = generated("scanner/rules/api-keys.json")

    assert (await ask("POST", f"{SCANNER}/groups", generated("scanner/agents.json")))[0] == 400
    assert (await ask("POST", f"{SCANNER}/rules", rule))[0] == 404
    assert (await ask("DELETE", f"{SCANNER}/rules/nosuch", {"meta": {}}))[0] == 404
    assert (await ask("GET", f"{SCANNER}/standard-patterns")) == (200, {"data": []})


async def test_a_scanner_group_needs_no_configuration_but_not_a_wrong_one(ask) -> None:
    """Terraform's provider sends no relationships."""
    path = "/api/v2/sensitive-data-scanner/config/groups"
    body = generated("scanner/agents.json")
    relationships = body["data"].pop("relationships")
    status, answer = await ask("POST", path, body)
    assert (status, bool(answer["data"]["id"])) == (200, True)
    relationships["configuration"]["data"]["id"] = "another"
    body["data"]["relationships"] = relationships
    assert (await ask("POST", path, body))[0] == 400


async def test_texts_of_a_monitor_are_trimmed(ask) -> None:
    body = generated("monitors/heartbeat.json")
    texts = {name: f"\n{body[name]} \n" for name in ("message", "query")}
    _, answer = await ask("POST", "/api/v1/monitor", body | texts)
    assert {name: answer[name] for name in texts} == {name: body[name] for name in texts}


async def test_the_limit_of_an_index_is_restored_only_with_its_switch(ask) -> None:
    path = "/api/v1/logs/config/indexes"
    body = generated("index.json")
    await ask("POST", path, body)
    name = body.pop("name")
    _, disabled = await ask("PUT", f"{path}/{name}", body | {"disable_daily_limit": True})
    _, without = await ask("PUT", f"{path}/{name}", body)
    _, restored = await ask("PUT", f"{path}/{name}", body | {"disable_daily_limit": False})
    limits = [answer["daily_limit"] for answer in (disabled, without, restored)]
    assert limits == [None, None, body["daily_limit"]]
