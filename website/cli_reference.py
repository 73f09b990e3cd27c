"""Reference of the kubectl plugin from its commands: `python -m website.cli_reference FILE` (`make docs`)."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from kubectl_purpleflea.application import cli

HEAD = """# Reference of kubectl purpleflea

This page is generated from the commands by `make docs`; do not edit it. [kubectl-plugin.md](../kubectl-plugin.md)
explains the commands, their exit codes and their rights.
"""


def page() -> str:
    """Return the text of the page."""
    return "\n".join([HEAD, *_sections(cli, "kubectl purpleflea")])


def _sections(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _sections(inner, f"{path} {name}")
        return
    usage = " ".join(command.collect_usage_pieces(context))
    rows = "".join(
        f"| `{_cell(names)}` | {_cell(text)} |\n" for names, text in _options(command, context)
    )
    text = inspect.cleandoc(command.help or "")
    table = f"| option | meaning |\n| --- | --- |\n{rows}"
    yield f"## {path}\n\n{text}\n\n```text\n{path} {usage}\n```\n\n{table}"


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Yield the options without --help, whose names depend on the context in which click created it first."""
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            yield record


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(file: str) -> None:
    """Write the page into a file."""
    Path(file).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
