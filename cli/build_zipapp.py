"""Builds the plugin as one file that needs only Python: `python cli/build_zipapp.py dist/kubectl-purpleflea.pyz`.

It copies the packages of this environment, which were installed from hash-locked requirements, and leaves out compiled
extensions and what the plugin does not import. Bytecode for the Python that builds is included, because a zip file has
no cache for it.
"""

import compileall
import shutil
import sys
import tempfile
import zipapp
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("kubectl_purpleflea", "purpleflea_contract", "click", "rich", "yaml")
INTERPRETER = "/usr/bin/env python3"


def build(target: Path) -> None:
    """Write the archive."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for package in PACKAGES:
            spec = find_spec(package)
            if spec is None or spec.origin is None:
                raise SystemExit(f"{package} is not installed; run: make setup")
            ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "*.pyx")
            shutil.copytree(Path(spec.origin).parent, root / package, ignore=ignored)
        compileall.compile_dir(root, quiet=1, legacy=True, stripdir=name)
        zipapp.create_archive(
            root,
            target,
            interpreter=INTERPRETER,
            main="kubectl_purpleflea.__main__:main",
            compressed=True,
        )
    target.chmod(0o755)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
