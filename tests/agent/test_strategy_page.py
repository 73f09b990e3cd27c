"""docs/strategies.md and README.md: the code is that of the example, and the commands run in a copy of the example."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "strategies.md"
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REPLAY = "purpleflea-agent run --replay candles.csv --strategy breakout:breakout --market BTC-USD"
LISTING = re.compile(
    r"^`(?P<name>[\w.]+)`:\n\n```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
BLOCKS = [block.splitlines() for block in CONSOLE.findall(PAGE.read_text())]
"""The commands of the page. A command may use files of an earlier command of its block."""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strategy") / "example"
    shutil.copytree(PAGE.parents[1] / "examples" / "strategy", folder)
    return folder


def test_the_page_has_commands() -> None:
    assert sum(map(len, BLOCKS)) >= 5


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block[-1])
def test_the_commands_of_the_page_run(example: Path, block: list[str]) -> None:
    for command in block:
        run(example, command)


def test_the_commands_of_the_readme_run(example: Path) -> None:
    text = (PAGE.parents[1] / "README.md").read_text()
    found = re.findall(r"^purpleflea-agent run .*$", text, re.MULTILINE)
    assert len(found) >= 2
    for command in found:
        run(example, command if "--replay" in command else f"{command} --interval 1s --for 3s")


def test_the_report_on_the_page_is_that_of_its_command(example: Path) -> None:
    (command,) = (command for block in BLOCKS for command in block if command == REPLAY)
    report = run(example, command).partition("\n\n")[2].partition("Report: ")[0]
    assert f"```text\n{report}" in PAGE.read_text()


def run(example: Path, command: str) -> str:
    """Run a command in the copy of the example, check its result, and return its output."""
    binaries = str(Path(sys.executable).parent)
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=example,
        env={"PATH": f"{binaries}:{os.environ['PATH']}", "HOME": str(example)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if " run " in command:
        report = re.search(r"^Report: (.+)$", done.stdout, re.MULTILINE)
        assert report is not None
        assert (example / report[1]).stat().st_size > 1000
    if "--max-order-usd" in command:
        assert "Orders refused by limits: max_order" in done.stdout
    return done.stdout


def test_the_listings_are_the_files_of_the_example(repository: Path) -> None:
    listings = {match["name"]: match["code"] for match in LISTING.finditer(PAGE.read_text())}
    assert listings.keys() == {"breakout.py", "test_breakout.py"}
    for name, code in listings.items():
        text = (repository / "examples" / "strategy" / name).read_text()
        _, _, after_docstring = text.partition('"""\n\n')
        assert after_docstring == code, name


def test_the_first_strategy_has_ten_lines() -> None:
    code = next(match["code"] for match in LISTING.finditer(PAGE.read_text()))
    body = [line for line in code.splitlines() if line and "import" not in line]
    assert len(body) <= 10


def test_the_image_of_the_example_is_the_base_image_and_the_package(repository: Path) -> None:
    folder = repository / "examples" / "strategy"
    dockerfile = (folder / "Dockerfile").read_text()
    assert "COPY --from=build /opt/strategy /opt/app" in dockerfile
    base = (repository / "agent_image" / "Dockerfile").read_text()
    assert "echo /opt/app >" in base  # the folder is on the path of the base image
