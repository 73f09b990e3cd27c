"""The licenses of the dependencies that are shipped, from the metadata of the installed distributions. It is offline.

Usage: python -m release.licenses     It prints each distribution with its license.
"""

import re
import sys
from importlib import metadata
from pathlib import Path

LOCKS = ("operator/requirements.txt", "agent_image/requirements.txt")
"""Locks of the images that are released."""
ALLOWED = frozenset(
    {
        *("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "ISC", "MIT", "MIT-0", "PSF-2.0"),
        *("Python-2.0", "Unlicense", "Zlib", "CNRI-Python", "BSD"),
        # Only files of the project itself must stay open if they are changed. The images have them unchanged.
        "MPL-2.0",
    }
)
"""Licenses of programs that the images may contain. BSD is a classifier without a number of clauses."""
NAMES = {
    "Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache 2": "Apache-2.0",
    "BSD License": "BSD",
    "BSD 3-Clause": "BSD-3-Clause",
    "BSD-3-clause": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""SPDX identifiers of names that distributions use instead."""
EXCEPTIONS = {
    # Its metadata names a file. The file LICENSE in the wheel offers both licenses.
    "ddtrace": "Apache-2.0 OR BSD-3-Clause",
    # A stub of the same publisher for code of ddtrace, without a license in its metadata.
    "ddtrace-internal": "Apache-2.0 OR BSD-3-Clause",
}
"""Licenses of distributions whose metadata does not name them."""
_NAME = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", re.MULTILINE)
_TOKEN = re.compile(r"[A-Za-z0-9.+-]+|[()]")


def shipped(root: Path) -> list[str]:
    """Return the names of the distributions in the locks."""
    texts = ((root / lock).read_text(encoding="utf-8") for lock in LOCKS)
    return sorted({name for text in texts for name in _NAME.findall(text)})


def license_of(name: str) -> str:
    """Return the license of an installed distribution as an SPDX expression; empty if it names none.

    Raises:
        importlib.metadata.PackageNotFoundError: It is not installed, such as a package for another system.
    """
    found = metadata.metadata(name)
    if name in EXCEPTIONS:
        return EXCEPTIONS[name]
    for expression in found.get_all("License-Expression") or ():
        return str(expression)
    classifiers = [
        item.rpartition(" :: ")[2]
        for item in found.get_all("Classifier") or ()
        if item.startswith("License :: ")
    ]
    named = classifiers or [str(item).strip() for item in found.get_all("License") or ()]
    # A classifier without a license, such as "OSI Approved", says nothing.
    names = [NAMES.get(item, item) for item in named if item not in ("", "OSI Approved")]
    return " AND ".join(names)


def is_allowed(expression: str) -> bool:
    """Return whether the images may contain a distribution with this SPDX expression."""
    tokens = _TOKEN.findall(expression)
    allowed = bool(tokens) and _any_of(tokens)
    return allowed and not tokens


def _any_of(tokens: list[str]) -> bool:
    """Read licenses that are joined by OR, and return whether one of them is allowed."""
    allowed = _all_of(tokens)
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        allowed |= _all_of(tokens)
    return allowed


def _all_of(tokens: list[str]) -> bool:
    """Read licenses that are joined by AND, and return whether all of them are allowed."""
    allowed = _single(tokens)
    while tokens and tokens[0] == "AND":
        tokens.pop(0)
        allowed &= _single(tokens)
    return allowed


def _single(tokens: list[str]) -> bool:
    if not tokens:
        return False
    first = tokens.pop(0)
    if first == "(":
        allowed = _any_of(tokens)
        return bool(tokens) and tokens.pop(0) == ")" and allowed
    if tokens[:1] == ["WITH"]:
        # An exception only adds permissions.
        del tokens[:2]
    return first in ALLOWED


def problems(root: Path) -> list[str]:
    """Return a line per installed distribution whose license is missing or not allowed."""
    found = []
    for name in shipped(root):
        try:
            expression = license_of(name)
        except metadata.PackageNotFoundError:
            continue
        if not is_allowed(expression):
            found.append(f"{name}: {expression or 'no license in its metadata'}")
    return found


def main() -> int:
    """Print the licenses; returns 1 if one is not allowed."""
    root = Path(__file__).parents[1]
    for name in shipped(root):
        try:
            print(f"{name:32} {license_of(name) or '-'}")
        except metadata.PackageNotFoundError:
            print(f"{name:32} not installed here")
    refused = problems(root)
    print("\n".join(f"not allowed: {line}" for line in refused))
    return int(bool(refused))


if __name__ == "__main__":
    sys.exit(main())
