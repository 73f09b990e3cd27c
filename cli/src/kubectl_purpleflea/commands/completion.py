"""`completion`: scripts for shells, and the program through which kubectl completes the plugin."""

import click
from click.shell_completion import get_completion_class

from kubectl_purpleflea import output

PROGRAM = "kubectl-purpleflea"
VARIABLE = "_KUBECTL_PURPLEFLEA_COMPLETE"
_KUBECTL = f"""#!/bin/sh
# Save it as kubectl_complete-purpleflea in a folder on PATH. kubectl then completes `kubectl purpleflea`.
for word in "$@"; do line="$line $word"; done
COMP_WORDS="{PROGRAM}$line" COMP_CWORD=$# {VARIABLE}=bash_complete {PROGRAM} | sed 's/^[^,]*,//'
echo :4
"""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish", "kubectl"]))
def completion(shell: str) -> None:
    """Print a completion script.

    bash, zsh and fish complete `kubectl-purpleflea`. kubectl is a program for `kubectl purpleflea` in every shell that
    completes kubectl.
    """
    if shell == "kubectl":
        output.say(_KUBECTL)
        return
    root = click.get_current_context().find_root().command
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"{shell} is not supported by this version of click.")
    script = found(root, {}, PROGRAM, VARIABLE).source()
    # Descriptions have commas, and fish would show only the part before the first one.
    output.say(script.replace('(string split "," ', '(string split --max 1 "," '))
