"""Names of objects on the command line. kubectl would read another text as a flag, or as another kind."""

import re
from typing import Any

import click

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
MAX_LENGTH = 253


class ObjectName(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2
    """A name as Kubernetes allows it: lower-case letters, digits, hyphens and dots."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        text = str(value)
        if not text and isinstance(param, click.Option):
            return ""  # The default.
        if len(text) > MAX_LENGTH or not _NAME.fullmatch(text):
            self.fail(f"{text[:MAX_LENGTH]!r} is not a name of an object.", param, ctx)
        return text


OBJECT_NAME = ObjectName()
