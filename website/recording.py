"""Record terminal sessions as SVG: `python -m website.recording FILE...` (`make recording`, with the demo running).

`halt.svg` halts and resumes the agents of the current namespace of the kubeconfig; `doctor.svg` gives one of them an
image that does not exist, and repairs it. Each command is really run in a terminal, and its output and duration are
those of the run. The pictures load no font from elsewhere.
"""

import contextlib
import io
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
HALT = (
    "kubectl get pfa",
    "kubectl apply -f examples/halt.yaml",
    "kubectl wait pfh/incident --for=condition=Halted --timeout=60s",
    "kubectl get pfh",
    "kubectl wait pfa --all --for=condition=TradingActive=false --timeout=60s",
    "kubectl get pfa",
    "kubectl wait pfh/incident --for=condition=Draining=false --timeout=60s",
    "kubectl delete pfh incident",
    "kubectl wait pfa --all --for=condition=TradingActive --timeout=60s",
    "kubectl get pfa",
)
DOCTOR = (
    "kubectl purpleflea doctor",
    """kubectl patch pfa momentum --type=merge -p '{"spec":{"image":{"repository":"example.invalid/a","tag":"2"}}}'""",
    "kubectl wait pfa/momentum --for=condition=Progressing=false --timeout=110s",
    "kubectl purpleflea doctor",
    """kubectl patch pfa momentum --type=merge -p '{"spec":{"image":null}}'""",
    "kubectl wait pfa/momentum --for=condition=Progressing --timeout=110s",
    "kubectl purpleflea doctor",
)
SESSIONS = {"halt": ("a halt", HALT), "doctor": ("doctor", DOCTOR)}
"""Title and commands of each session, by the name of its file."""
REPORTED = (10, 20)
"""Exit codes of the plugin for problems that it found."""
TIMEOUT_S = 120
WIDTH = 112
FONTS = re.compile(r"@font-face \{\{.*?\n    \}\}\n", re.DOTALL)


def record(commands: Sequence[str], environment: Mapping[str, str], *, title: str) -> str:
    """Run commands in a terminal and return the session as SVG.

    Raises:
        CalledProcessError: A command fails. `doctor` and `why` report problems with their exit codes.
    """
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for command in commands:
        console.print(Text.assemble(("$ ", "green"), (command, "bold")))
        began = time.monotonic()
        code, output = run(command, environment)
        console.print(Text.from_ansi(output.rstrip()))
        if code not in (0, *(REPORTED if "purpleflea" in command else ())):
            raise subprocess.CalledProcessError(code, command, output)
        if code:
            console.print(Text(f"# exit code {code}", "dim"))
        elif " wait " in command:
            console.print(Text(f"# after {time.monotonic() - began:.1f} s", "dim"))
    return svg(console, title)


def run(command: str, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command in a new terminal; return its exit code and its output. It is killed after two minutes."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (1000, WIDTH))
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        program = subprocess.Popen(
            ["sh", "-c", command],
            cwd=ROOT,
            env={**environment, "TERM": "xterm-256color"},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        timer = threading.Timer(TIMEOUT_S, os.killpg, (program.pid, signal.SIGKILL))
        timer.start()
        try:
            output = b"".join(_chunks(terminal))
            code = program.wait()
        finally:
            timer.cancel()
    return code, output.decode(errors="replace").replace("\r\n", "\n")


def _chunks(terminal: io.RawIOBase) -> Iterator[bytes]:
    """Yield the output until the last program closes the terminal, which Linux reports as an error."""
    with contextlib.suppress(OSError):
        while chunk := terminal.read(65536):
            yield chunk


def svg(console: Console, title: str) -> str:
    """Return the recorded output as SVG that names no other server."""
    text = console.export_svg(
        title=title, code_format=FONTS.sub("", CONSOLE_SVG_FORMAT), unique_id="session"
    )
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def main(files: Sequence[str]) -> None:
    """Record the sessions that the files are named after."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for file in files:
        title, commands = SESSIONS[Path(file).stem]
        found = record(commands, {**os.environ, "PATH": path}, title=title)
        Path(file).write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
