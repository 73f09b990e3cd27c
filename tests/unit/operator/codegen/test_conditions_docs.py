"""The page of conditions and Events, generated from the explanations of the reasons."""

import pytest

from purpleflea_contract.links import reason_anchor
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.explanations.agent import AGENT_REASONS
from purpleflea_operator.api.explanations.observability import OBSERVABILITY_REASONS
from purpleflea_operator.api.explanations.operator import OPERATOR_REASONS
from purpleflea_operator.api.observability_status import ObservabilityCondition
from purpleflea_operator.codegen import conditions_docs
from purpleflea_operator.codegen.conditions_docs import (
    INTRODUCTIONS,
    OBSERVABILITY_INTRODUCTIONS,
    page,
)

AGENT_ROWS = [(kind, item) for item in AGENT_REASONS.items for kind in item.statuses]
OBSERVABILITY_ROWS = [
    (kind, item) for item in OBSERVABILITY_REASONS.items for kind in item.statuses
]


def test_the_page_is_up_to_date(repository):
    found = (repository / "docs" / "conditions.md").read_text(encoding="utf-8")
    assert found == page(), "stale: run `make docs`"


def test_the_command_writes_the_page(tmp_path):
    conditions_docs.main([str(tmp_path / "page.md")])
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == page()


def test_every_condition_has_an_introduction():
    assert list(INTRODUCTIONS) == list(ConditionType)
    assert list(OBSERVABILITY_INTRODUCTIONS) == list(ObservabilityCondition)


@pytest.mark.parametrize(
    ("kind", "condition", "item"),
    [
        *(("PurpleFleaAgent", condition, item) for condition, item in AGENT_ROWS),
        *(("PurpleFleaObservability", condition, item) for condition, item in OBSERVABILITY_ROWS),
        *(("", "", item) for item in OBSERVABILITY_REASONS.items if not item.statuses),
        *(("", "", item) for item in OPERATOR_REASONS.items),
    ],
)
def test_every_reason_has_one_row_with_an_anchor(kind, condition, item):
    cell = f'\n| <a id="{reason_anchor(kind, condition, item.reason)}"></a>`{item.reason}` | '
    assert page().count(cell) == 1
    row = page().partition(cell)[2].partition("\n")[0]
    cells = (item.statuses.get(condition, item.severity), item.meaning, item.remedy)
    assert row == f"{' | '.join(cells)} |"


def test_lines_outside_of_tables_are_wrapped():
    assert [line for line in page().splitlines() if len(line) > 120 and line[0] != "|"] == []
