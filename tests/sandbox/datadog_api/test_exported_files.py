"""The API accepts every JSON file of observability/ unchanged, sent as its README describes."""

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "observability"
SCANNER = "/api/v2/sensitive-data-scanner/config"
FILES = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.json")}
ALONE = {
    "slo.json": ("POST", "/api/v1/slo"),
    "dashboard.json": ("POST", "/api/v1/dashboard"),
    "pipeline.json": ("POST", "/api/v1/logs/config/pipelines"),
    "index.json": ("POST", "/api/v1/logs/config/indexes"),
    "notebook.json": ("POST", "/api/v1/notebooks"),
}


@pytest.fixture
async def send(api, ask):
    """Send a file with ids inserted, and return the response."""
    posted = set()

    async def one(name, method, path, ids=()):
        text = (FOLDER / name).read_text()
        for token, identifier in dict(ids).items():
            text = text.replace(token, str(identifier))
        status, answer = await ask(method, path, json.loads(text))
        assert status in (200, 201), (name, answer)
        posted.add(name)
        return answer

    one.posted = posted
    return one


async def monitors(send):
    created = {}
    for name in sorted(FILES):
        if name.startswith("monitors/") and "by-reference" not in name:
            created[Path(name).stem] = (await send(name, "POST", "/api/v1/monitor"))["id"]
    slo = (await send("slo.json", *ALONE["slo.json"]))["data"][0]["id"]
    ids = {f"<monitor:{key}>": number for key, number in created.items()}
    ids["<slo:api-success>"] = slo
    for name in sorted(FILES):
        if "by-reference" in name:
            await send(name, "POST", "/api/v1/monitor", ids)


async def scanner(ask, send):
    _, configuration = await ask("GET", SCANNER)
    owner = {"<scanner:organisation>": configuration["data"]["id"]}
    created = await send("scanner/agents.json", "POST", f"{SCANNER}/groups", owner)
    for name in sorted(FILES):
        if name.startswith("scanner/rules/"):
            group = {"<scanner-group:agents>": created["data"]["id"]}
            await send(name, "POST", f"{SCANNER}/rules", group)


async def test_api_accepts_every_exported_file(api, ask, send):
    await monitors(send)
    await scanner(ask, send)
    for name, (method, path) in ALONE.items():
        if name not in send.posted:
            await send(name, method, path)
    await send("index-order.json", "PUT", "/api/v1/logs/config/index-order")
    for name in sorted(FILES):
        if name.startswith("metrics/"):
            metric, body = Path(name).stem, json.loads((FOLDER / name).read_text())
            kind = body["data"]["attributes"]["metric_type"].replace("rate", "count")
            api.report(metric, kind)
            await send(name, "POST", f"/api/v2/metrics/{metric}/tags")
    assert send.posted == FILES
    assert len(api.organisation.monitors) == sum(name.startswith("monitors/") for name in FILES)
