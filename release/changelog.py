"""The changelog: cut the section of a release, and print its notes.

Usage: python -m release.changelog cut VERSION DATE     moves the unreleased changes to a section of the version
       python -m release.changelog notes VERSION        prints the section, for the page of the release
"""

import re
import sys
from pathlib import Path

UNRELEASED = re.compile(r"^## Unreleased.*\n", re.MULTILINE)
DATE = re.compile(r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]$")


def cut(text: str, version: str, date: str) -> str:
    """Return the changelog with the unreleased changes in a section of a version, and an empty unreleased section.

    Raises:
        ValueError: There is nothing to release, the version has a section, or the date is not of the form 2026-12-31.
    """
    if DATE.match(date) is None:
        raise ValueError(f"{date} is not a date such as 2026-12-31")
    if _heading(version).search(text):
        raise ValueError(f"the changelog has a section of {version} already")
    found = UNRELEASED.search(text)
    if found is None:
        raise ValueError("the changelog has no section Unreleased")
    body, rest = _section(text[found.end() :])
    if not body.strip():
        raise ValueError("the section Unreleased is empty; list the changes first")
    head = text[: found.start()]
    return f"{head}## Unreleased\n\n## {version} ({date})\n\n{body.strip()}\n{rest}"


def notes(text: str, version: str) -> str:
    """Return the changes of a version.

    Raises:
        ValueError: The changelog has no section of the version.
    """
    found = _heading(version).search(text)
    if found is None:
        raise ValueError(f"the changelog has no section of {version}")
    return _section(text[found.end() :])[0].strip() + "\n"


def _heading(version: str) -> re.Pattern[str]:
    return re.compile(rf"^## {re.escape(version)} \(.*\)\n", re.MULTILINE)


def _section(text: str) -> tuple[str, str]:
    """Return the text before the next section, and the rest with an empty line before it."""
    body, mark, rest = text.partition("\n## ")
    return body, f"\n## {rest}" if mark else ""


def main(arguments: list[str]) -> int:
    """Run a command; returns 1 with a message if it is not possible."""
    file = Path(__file__).parents[1] / "CHANGELOG.md"
    text = file.read_text(encoding="utf-8")
    try:
        match arguments:
            case ["cut", version, date]:
                file.write_text(cut(text, version.removeprefix("v"), date), encoding="utf-8")
            case ["notes", version]:
                print(notes(text, version.removeprefix("v")), end="")
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except ValueError as error:
        print(f"changelog: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
