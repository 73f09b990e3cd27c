"""Build of the documentation site."""
