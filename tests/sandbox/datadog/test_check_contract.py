"""The Agent check reads the status that the agent writes, and the operator requests the check by its name."""

import json

from purpleflea_agent.api.bodies import StatusAnswer
from purpleflea_contract import kubernetes


def test_status_used_by_the_check_tests_is_a_complete_agent_status(repository):
    sample = json.loads((repository / "tests" / "check" / "status.json").read_text())

    assert StatusAnswer.model_fields.keys() <= sample.keys()
    StatusAnswer.model_validate({name: sample[name] for name in StatusAnswer.model_fields})


def test_check_name_equals_its_file_name(repository):
    assert (repository / "agent_check" / f"{kubernetes.CHECK_NAME}.py").is_file()
