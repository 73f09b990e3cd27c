"""Tools for maintainers that make a release: version, changelog, reproducible builds, licenses.

They are not part of any distribution. docs/release.md describes a release.
"""
