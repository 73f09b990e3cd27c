"""The Agent check reads what the agent writes, and the operator asks for the check that there is."""

import json

from purpleflea_agent.api.bodies import StatusAnswer
from purpleflea_contract import kubernetes


def test_the_status_that_the_checks_tests_use_is_a_whole_status_of_the_agent(repository):
    sample = json.loads((repository / "tests" / "check" / "status.json").read_text())

    assert StatusAnswer.model_fields.keys() <= sample.keys()
    StatusAnswer.model_validate({name: sample[name] for name in StatusAnswer.model_fields})


def test_the_check_is_named_as_its_file(repository):
    assert (repository / "agent_check" / f"{kubernetes.CHECK_NAME}.py").is_file()
