"""The command `kubectl purpleflea`. A subcommand is imported only when it runs, so the start stays fast."""

import importlib
import io
import sys

import click

from kubectl_purpleflea import __name__ as package
from kubectl_purpleflea.commands.catalog import COMMANDS
from kubectl_purpleflea.decisions.failures import KubectlError, explained

EXIT_FAILED = 1
"""Nothing was changed, or the request failed. Usage errors have 2."""


class Lazy(click.Group):
    """A group that imports the module of a subcommand when it is used. The list for --help needs no import."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the sequence of the catalog."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a subcommand."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].target.split(":")
        command: click.Command = getattr(
            importlib.import_module(f"{package}.commands.{module}"), attribute
        )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, item.summary) for name, item in COMMANDS.items()])


@click.command(
    cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option("0.1.0", prog_name="kubectl-purpleflea")
def cli() -> None:
    """Halt, observe and diagnose fleets of Purple Flea agents.

    Every request uses your kubectl: its context, credentials and proxies. Each command has the flags of kubectl, such
    as --context, --kubeconfig, --namespace, --as and --request-timeout.
    """


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A locale without the symbols of the output must not end a halt.
            stream.reconfigure(errors="backslashreplace")
    try:
        cli(prog_name="kubectl purpleflea", complete_var="_KUBECTL_PURPLEFLEA_COMPLETE")
    except KubectlError as error:
        sys.stderr.write(f"error: {explained(error)}\n")
        sys.exit(EXIT_FAILED)
    except BrokenPipeError:
        # The reader, such as head, has ended.
        sys.stderr.close()
        sys.exit(EXIT_FAILED)
