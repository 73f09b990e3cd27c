"""Convert a validation error of a spec into one line for the user."""

from pydantic import ValidationError

UNKNOWN_FIELD = (
    "unknown field; remove it, or upgrade the operator if the field is of a newer version"
)


def first_error(error: ValidationError) -> str:
    """Return the path of the first invalid field as users write it, and the reason."""
    details = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in ("spec", *details["loc"]))
    is_unknown = details["type"] == "extra_forbidden"
    return f"{field}: {UNKNOWN_FIELD if is_unknown else details['msg']}"
