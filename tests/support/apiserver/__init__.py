"""Fake Kubernetes API server for the wire and scale tiers. Tests import everything from this package."""

from support.apiserver.faults import Fault
from support.apiserver.kinds import (
    NAMESPACE,
    POD,
    PRESET,
    PURPLE_FLEA_AGENT,
    STATEFUL_SET,
    Kind,
    Obj,
)
from support.apiserver.requests import Request, Where
from support.apiserver.server import ApiServer
from support.apiserver.statefulsets import is_ready

__all__ = [
    "NAMESPACE",
    "POD",
    "PRESET",
    "PURPLE_FLEA_AGENT",
    "STATEFUL_SET",
    "ApiServer",
    "Fault",
    "Kind",
    "Obj",
    "Request",
    "Where",
    "is_ready",
]
