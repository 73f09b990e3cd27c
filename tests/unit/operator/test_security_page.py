"""SECURITY.md lists every right of the chart, and the damage that a holder of the operator's token can do with it."""

import re
from pathlib import Path

import pytest

from support.rights import Right, granted, roles, user_roles

PAGE = (Path(__file__).parents[3] / "SECURITY.md").read_text(encoding="utf-8")
SECRETS = ("observability.secrets[0].namespace=any", "observability.secrets[0].name=any")
BOUND = "watchNamespaces={trading}"


def rows(heading):
    """Return the rows of the table below a heading, as lists of cells."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines[1:]]


def rights(table):
    """Return the rights of rows. A cell of resources is `name` or `group:name`, separated by commas."""
    return {
        Right(group, name, verb)
        for resources, verbs, *_ in table
        for group, _, name in (item.rpartition(":") for item in re.findall(r"`([^`]+)`", resources))
        for verb in re.findall(r"`([a-z]+)`", verbs)
    }


def documented():
    return rights(rows("The operator's rights"))


def test_the_table_has_exactly_the_rights_of_the_chart():
    granted_rights = granted(roles(*SECRETS))
    assert documented() - granted_rights == set()
    assert granted_rights - documented() == set()


def test_the_table_of_user_roles_has_exactly_the_roles_and_rights_of_the_chart():
    table = rows("Roles for users")
    found = {name: rights(row for row in table if row[2] == name) for *_, name in table}
    assert found == {name: granted_rights for (_, name), granted_rights in user_roles().items()}


@pytest.mark.parametrize("values", [(), ("telemetryRights=true",)])
def test_an_operator_bound_to_namespaces_has_no_other_right(values):
    assert granted(roles(BOUND, *values, *SECRETS)) <= documented()


@pytest.mark.parametrize("right", sorted(granted(roles(*SECRETS))), ids=str)
def test_the_effect_of_each_writing_right_in_the_wrong_hands_is_described(right):
    if right.verb in ("list", "watch"):
        return
    assert right in rights(rows("A stolen token of the operator"))
