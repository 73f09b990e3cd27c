"""Links from conditions, Events, monitors and the plugin to the documentation: every target exists."""

import re
from pathlib import Path

import pytest
import yaml
from website import pages

from kubectl_purpleflea.decisions.fleet import problems
from kubectl_purpleflea.decisions.reasons import REASONS
from purpleflea_contract.links import (
    CONDITIONS_URL,
    DOCS_URL,
    PROJECT_URL,
    RUNBOOKS_URL,
    reason_anchor,
    reason_url,
)
from purpleflea_operator.api.explanations.agent import AGENT_REASONS
from purpleflea_operator.api.explanations.halt import HALT_REASONS
from purpleflea_operator.api.explanations.observability import OBSERVABILITY_REASONS
from purpleflea_operator.api.explanations.operator import OPERATOR_REASONS
from support.builders import an_agent

BY_KIND = {
    "PurpleFleaAgent": AGENT_REASONS,
    "PurpleFleaHalt": HALT_REASONS,
    "PurpleFleaObservability": OBSERVABILITY_REASONS,
    "Lease": OPERATOR_REASONS,
}
EVERY_REASON = [
    (kind, condition, str(item.reason))
    for kind, explanations in BY_KIND.items()
    for item in explanations.items
    for condition in (*item.statuses,) or ("",)
]


def anchors(repository: Path) -> list[str]:
    page = (repository / "docs" / "conditions.md").read_text(encoding="utf-8")
    return re.findall(r'<a id="([^"]+)"></a>', page)


def test_each_reason_of_each_condition_and_event_has_one_anchor_and_each_anchor_is_of_a_reason(
    repository: Path,
) -> None:
    expected = [reason_anchor(*key) for key in EVERY_REASON]
    assert sorted(anchors(repository)) == sorted(expected)
    assert len(set(expected)) == len(expected)


@pytest.mark.parametrize("key", EVERY_REASON, ids="-".join)
def test_an_address_is_that_of_the_page_with_the_anchor(
    repository: Path, key: tuple[str, str, str]
) -> None:
    page, _, anchor = reason_url(*key).partition("#")
    assert page == CONDITIONS_URL
    assert (repository / page.removeprefix(f"{PROJECT_URL}/blob/main/")).is_file()
    assert anchor == anchor.lower()
    assert anchor in anchors(repository)


def test_the_plugin_links_each_reason_that_it_shows(repository: Path) -> None:
    known = anchors(repository)
    for condition, reason in REASONS:
        status = {"conditions": [{"type": condition, "status": "False", "reason": reason}]}
        for problem in problems({**an_agent(), "status": status}):
            assert problem.link.partition("#")[2] in known, (condition, reason)


@pytest.mark.parametrize("condition", ["TelemetryReady", "NewCondition"])
def test_the_plugin_links_no_reason_of_another_version(condition: str) -> None:
    entry = {"type": condition, "status": "False", "reason": "Future", "message": "m"}
    (problem,) = problems({**an_agent(), "status": {"conditions": [entry]}})
    assert problem.link == ""


def test_the_plugin_links_an_agent_that_has_no_status(repository: Path) -> None:
    (problem,) = problems(an_agent())
    assert problem.link.partition("#")[2] in anchors(repository)


@pytest.mark.parametrize("chart", ["purpleflea-operator", "paper-exchange"])
def test_the_address_of_the_project_is_that_of_the_charts_and_of_the_site(
    repository: Path, chart: str
) -> None:
    found = yaml.safe_load((repository / "charts" / chart / "Chart.yaml").read_text())
    assert found["home"] == PROJECT_URL == pages.REPOSITORY_URL
    assert (repository / RUNBOOKS_URL.removeprefix(f"{PROJECT_URL}/blob/main/")).is_dir()
    assert RUNBOOKS_URL.startswith(DOCS_URL)
