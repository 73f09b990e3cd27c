"""`python -m purpleflea_sandbox`: mounts the command groups of the sandbox's parts. A part is
imported only when it is asked for, so that each works where the libraries of another are missing.
"""

import importlib

import click

_GROUPS = {
    "cluster": ("purpleflea_sandbox.cluster.commands", "A Kubernetes cluster on this machine."),
    "images": ("purpleflea_sandbox.images.commands", "Container images, built without a registry."),
    "demo": ("purpleflea_sandbox.demo.commands", "The whole fleet, set up and shown."),
}


class LazyGroup(click.Group):
    """Finds a group `name` as the attribute `name` of its module."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _GROUPS:
            return None
        command = getattr(importlib.import_module(_GROUPS[cmd_name][0]), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{cmd_name} is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Help of the whole must not import the parts.
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _GROUPS.items()])


@click.command(cls=LazyGroup)
def main() -> None:
    """The outside world on one machine: Kubernetes, a paper exchange, a Datadog stand-in."""


if __name__ == "__main__":
    main(prog_name="python -m purpleflea_sandbox")
