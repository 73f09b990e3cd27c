"""Dropped telemetry in the answer of /v1/status. The operator reads only this part; the rest is for people."""

from typing import Annotated

from pydantic import BaseModel, Field


class Losses(BaseModel):
    """The part of the answer that the operator reads."""

    telemetry_dropped_by_signal: Annotated[
        dict[str, Annotated[int, Field(ge=0)]], Field(max_length=16)
    ]
    """Items dropped since the start of the process, for each of metrics, traces and logs."""
