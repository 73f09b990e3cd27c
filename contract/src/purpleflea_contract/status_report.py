"""The parts of /v1/status and of a failed /readyz that the operator reads. The rest of the answers is for people.

An agent of another team may lack the fields with a default.
"""

from typing import Annotated

from pydantic import BaseModel, Field

MAX_REASON = 300
"""Characters of the reason in a failed /readyz that the operator reports."""


class StatusReport(BaseModel):
    """The part of the answer of /v1/status that the operator reads."""

    telemetry_dropped_by_signal: Annotated[
        dict[str, Annotated[int, Field(ge=0)]], Field(max_length=16)
    ]
    """Items dropped since the start of the process, for each of metrics, traces and logs."""
    position_mismatches: Annotated[
        tuple[Annotated[str, Field(max_length=25)], ...], Field(max_length=64)
    ] = ()
    """Markets whose reported position differs from the fills of the agent, beyond fills in flight."""


class ReadinessReport(BaseModel):
    """The part of the answer of a failed /readyz that the operator reads: why the agent is not ready."""

    detail: Annotated[str, Field(max_length=4096)] = ""
