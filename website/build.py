"""Build the documentation site into site/: `.venv-docs/bin/python -m website.build` (`make site`).

It writes a copy of the pages to website/staged, with diagrams as SVG, and then runs Zensical, which fails on each link
to a page or an anchor that does not exist. The build needs no network, and neither does the site.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mermaidx

from website.pages import page, place, with_size

ROOT = Path(__file__).parents[1]
STAGE = ROOT / "website" / "staged"
STYLE = ROOT / "website" / "site.css"
BUILT = ROOT / "website" / "built"  # Zensical writes only below the folder of its configuration
OTHER_PAGES = (
    *(
        "SECURITY.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "STYLE.md",
        "CODE_OF_CONDUCT.md",
    ),
    *(
        "charts/purpleflea-operator/README.md",
        "charts/paper-exchange/README.md",
        "agent_check/README.md",
        "observability/README.md",
        "observability/terraform/README.md",
    ),
    *("observability/facets.md", "observability/normalizations.md"),
)
COPIED = (".md", ".svg", ".png", ".json", ".css")


def site_files() -> list[str]:
    """Return the files of the site, as paths from the root of the repository."""
    found = (path for path in (ROOT / "docs").rglob("*") if path.suffix in COPIED)
    return sorted(str(path.relative_to(ROOT)) for path in found) + list(OTHER_PAGES)


def diagram(text: str) -> str:
    """Render a diagram, unless an earlier build did; return the path of its picture on the site."""
    name = f"diagrams/{hashlib.sha256(text.encode()).hexdigest()[:16]}.svg"
    cached = ROOT / ".sandbox" / name
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        mermaidx.render(text).save(str(cached))
    (STAGE / name).parent.mkdir(parents=True, exist_ok=True)
    text = cached.read_text(encoding="utf-8")
    (STAGE / name).write_text(with_size(text), encoding="utf-8")
    return name


def stage() -> None:
    """Write the pages and pictures of the site to website/staged."""
    shutil.rmtree(STAGE, ignore_errors=True)
    STAGE.mkdir(parents=True)
    shutil.copy(STYLE, STAGE / STYLE.name)
    files = site_files()
    for path in files:
        target = STAGE / place(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith(".md"):
            text = (ROOT / path).read_text(encoding="utf-8")
            target.write_text(page(text, path, files, diagram), encoding="utf-8")
        else:
            shutil.copy(ROOT / path, target)


def main() -> int:
    """Stage the pages and build the site; return the exit code of Zensical."""
    stage()
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    shutil.rmtree(BUILT, ignore_errors=True)
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    config = str(ROOT / "website" / "zensical.toml")
    code = subprocess.call([*command, "--config-file", config], env=environment)
    if code == 0:
        shutil.rmtree(ROOT / "site", ignore_errors=True)
        BUILT.rename(ROOT / "site")
    return code


if __name__ == "__main__":
    sys.exit(main())
