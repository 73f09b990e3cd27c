import pytest

from purpleflea_operator.observability.parameters import Parameters


@pytest.fixture
def parameters():
    return Parameters()
