"""Fields of a spec that this version of the operator does not have."""

import pytest
from pydantic import BaseModel, ValidationError

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.api.unknown_fields import newer_fields
from support.builders import a_spec

MOUNT = {"name": "shared", "mountPath": "/shared"}
SIDECAR = {"name": "proxy", "image": "proxy:1"}


def found(**changes):
    with pytest.raises(ValidationError) as error:
        AgentSpec.model_validate(a_spec(**changes), extra="forbid")
    return newer_fields(AgentSpec, error.value)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        pytest.param({"stopLoss": 5}, ("spec.stopLoss",), id="of the spec"),
        pytest.param({"risk": {"maxLossUsd": "5"}}, ("spec.risk.maxLossUsd",), id="of a group"),
        pytest.param(
            {"api": {"keySecretRef": {"name": "key", "version": 2}}},
            ("spec.api.keySecretRef.version",),
            id="of a required group",
        ),
        pytest.param(
            {"storage": {"size": "1Gi", "snapshots": True}},
            ("spec.storage.snapshots",),
            id="of an optional group",
        ),
        pytest.param(
            {"pod": {"volumeMounts": [{**MOUNT, "mode": "x"}]}},
            ("spec.pod.volumeMounts.0.mode",),
            id="of an item of a list",
        ),
        pytest.param(
            {"stopLoss": 5, "risk": {"maxLossUsd": "5"}},
            ("spec.risk.maxLossUsd", "spec.stopLoss"),
            id="several",
        ),
        pytest.param({"risk": {"maxDrawdownPct": 0}}, (), id="invalid"),
        pytest.param({"stopLoss": 5, "replicas": -1}, (), id="unknown and invalid"),
        pytest.param(
            {"pod": {"affinity": {"nodeAffinity": {"required": []}}}}, (), id="of a free-form field"
        ),
        pytest.param(
            {"pod": {"sidecars": [{**SIDECAR, "readinessProbe": {"htpGet": {}}}]}},
            (),
            id="of a free-form field in a list",
        ),
    ],
)
def test_only_fields_that_the_api_server_has_checked_belong_to_a_newer_version(changes, fields):
    assert sorted(found(**changes)) == sorted(fields)


class Port(BaseModel):
    number: int


class Socket(BaseModel):
    path: str


class Receiver(BaseModel):
    address: Port | Socket


def test_an_unknown_field_of_one_of_several_models_is_a_mistake():
    """Then the path of the error has the name of a model, which is not a field."""
    with pytest.raises(ValidationError) as error:
        Receiver.model_validate({"address": {"number": 1, "path": "/", "x": 2}}, extra="forbid")
    assert newer_fields(Receiver, error.value) == ()
