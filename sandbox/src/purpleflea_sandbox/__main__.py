"""Command line `python -m purpleflea_sandbox`.

It mounts the command groups of the sandbox packages. A group is imported only when it is invoked,
so each group works even if the dependencies of another group are not installed.
"""

import importlib

import click

_GROUPS = {
    "cluster": (
        "purpleflea_sandbox.cluster.commands",
        "Manage a Kubernetes cluster on this machine.",
    ),
    "images": ("purpleflea_sandbox.images.commands", "Build container images without a registry."),
    "engine": ("purpleflea_sandbox.engine.commands", "Run commands with a Docker engine."),
    "demo": ("purpleflea_sandbox.demo.commands", "Set up the whole fleet and show it."),
}


class LazyGroup(click.Group):
    """Click group that loads the command `name` from the attribute `name` of its module."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _GROUPS:
            return None
        command = getattr(importlib.import_module(_GROUPS[cmd_name][0]), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{cmd_name} is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Write the help from `_GROUPS`, because the help text must not import the groups.
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _GROUPS.items()])


@click.command(cls=LazyGroup)
def main() -> None:
    """Simulated environment for one machine: Kubernetes, a paper exchange, and a Datadog stand-in."""


if __name__ == "__main__":
    main(prog_name="python -m purpleflea_sandbox")
