"""Writes the table of rights into a page: `python cli/rights_table.py docs/kubectl-plugin.md` (`make docs`)."""

import re
import sys
from pathlib import Path

from kubectl_purpleflea.decisions.rights import markdown

TABLE = re.compile(r"^\| command \| resource \|.*?(?=^(?!\|)|\Z)", re.MULTILINE | re.DOTALL)


def written(page: str) -> str:
    """Return a page with the present table."""
    return TABLE.sub(lambda _: markdown(), page, count=1)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
