import re
from pathlib import Path

import pytest

from purpleflea_operator.controllers.agent import conditions

FOLDER = Path(conditions.__file__).parent
MODULES = ("duplicate_identity.py", "progressing.py", "storage_ready.py", "trading_active.py")
REASON = re.compile(
    r'"(?:True|False|Unknown)", "([A-Z]\w+)"|return "([A-Z]\w+)", |\("([A-Z]\w+)", f"'
)
WAYS = re.compile(r'Mode\.\w+: "(\w+)"')


@pytest.mark.parametrize("module", MODULES)
def test_every_reason_is_explained(repository, module):
    text = (FOLDER / module).read_text(encoding="utf-8")
    found = {word for words in REASON.findall(text) for word in words if word}
    found |= set(WAYS.findall(text))
    assert len(found) >= 3
    page = (repository / "docs" / "conditions.md").read_text(encoding="utf-8")
    assert {reason for reason in found if f"`{reason}`" not in page} == set()
