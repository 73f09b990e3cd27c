import pytest

from purpleflea_operator.datadog.definitions.parameters import Parameters


@pytest.fixture
def parameters():
    return Parameters()
