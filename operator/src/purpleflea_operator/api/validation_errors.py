"""Why a spec is invalid, as one line for its user."""

from pydantic import ValidationError

UNKNOWN = "unknown field; remove it, or upgrade the operator if it is of a newer version"


def first_error(error: ValidationError) -> str:
    """The first problem: the field as users write it, and what is wrong with it."""
    found = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in ("spec", *found["loc"]))
    return f"{field}: {UNKNOWN if found['type'] == 'extra_forbidden' else found['msg']}"
