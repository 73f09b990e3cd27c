"""Record a terminal session as SVG: `python -m website.recording FILE` (`make recording`, on the cluster of the demo).

The session halts and resumes the agents of the current namespace of the kubeconfig. Each command is really run, and its
output and duration are those of the run. The picture loads no font from elsewhere.
"""

import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
HALT = (
    "kubectl get pfa",
    "kubectl apply -f examples/halt.yaml",
    "kubectl wait pfh/incident --for=condition=Halted --timeout=60s",
    "kubectl get pfa,pfh",
    "kubectl wait pfh/incident --for=condition=Draining=false --timeout=60s",
    "kubectl delete pfh incident",
    "kubectl wait pfa --all --for=condition=TradingActive --timeout=60s",
    "kubectl get pfa",
)
WIDTH = 112
FONTS = re.compile(r"@font-face \{\{.*?\n    \}\}\n", re.DOTALL)


def record(commands: Sequence[str], environment: Mapping[str, str], *, title: str) -> str:
    """Run commands and return the session as SVG. Raises CalledProcessError if one fails."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for command in commands:
        console.print(Text.assemble(("$ ", "green"), (command, "bold")))
        began = time.monotonic()
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        console.print(Text(done.stdout.rstrip()))
        if " wait " in command:
            console.print(Text(f"# after {time.monotonic() - began:.1f} s", "dim"))
    return svg(console, title)


def svg(console: Console, title: str) -> str:
    """Return the recorded output as SVG that names no other server."""
    text = console.export_svg(
        title=title, code_format=FONTS.sub("", CONSOLE_SVG_FORMAT), unique_id="session"
    )
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def main(file: str) -> None:
    """Record the halt into a file."""
    Path(file).write_text(record(HALT, os.environ, title="a halt"), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
