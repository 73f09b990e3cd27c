"""Names, summaries and modules of the subcommands. It imports none of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A subcommand."""

    target: str
    """Module and attribute, as module:attribute."""
    summary: str


COMMANDS = {
    "status": Entry(target="status:status", summary="Show agents and identities, problems first."),
    "why": Entry(target="why:why", summary="Explain why an agent does not work, with the remedy."),
    "doctor": Entry(
        target="doctor:doctor", summary="Check the installation, each problem with its fix."
    ),
    "import": Entry(
        target="files:import_",
        summary="Convert a Deployment into a PurpleFleaAgent, with a report.",
    ),
    "render": Entry(
        target="render:render",
        summary="Show the objects that the operator would apply, with a diff to the cluster.",
    ),
    "cost": Entry(
        target="files:cost", summary="Estimate custom metrics of a manifest before it is applied."
    ),
    "halt": Entry(
        target="halt:halt", summary="Halt agents, and wait until all of them have acknowledged."
    ),
    "stop": Entry(
        target="halt:stop", summary="Stop agents: halt them, drain them and end their pods."
    ),
    "resume": Entry(
        target="resume:resume", summary="Delete halts, and wait until the agents have resumed."
    ),
    "open": Entry(target="open_links:open_", summary="Print the addresses of an agent in Datadog."),
    "bundle": Entry(
        target="bundle:bundle", summary="Write a support archive without secrets and account data."
    ),
    "completion": Entry(
        target="completion:completion", summary="Print a completion script for a shell."
    ),
}
