"""The option --filename, and the manifests in a file."""

from pathlib import Path
from typing import IO, Any

import click

MAX_BYTES = 4 * 1024 * 1024
file_option = click.option(
    "-f",
    "--filename",
    "file",
    type=click.File("r"),
    required=True,
    help="Manifest, or - for stdin.",
)


def documents(file: IO[str]) -> list[dict[str, Any]]:
    """Return the documents of a file; those of a List are returned one by one."""
    import yaml

    name = Path(getattr(file, "name", "-")).name
    try:
        content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise click.UsageError(f"{name} has more than {MAX_BYTES} bytes.")
        found = [item for item in yaml.load_all(content, _loader()) if isinstance(item, dict)]
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise click.UsageError(f"{name} is not YAML: {str(error).splitlines()[0]}") from error
    flat: list[dict[str, Any]] = []
    for item in found:
        inner = item.get("items") if str(item.get("kind")).endswith("List") else None
        flat += (
            [entry for entry in inner if isinstance(entry, dict)]
            if isinstance(inner, list)
            else [item]
        )
    return [item for item in flat if isinstance(item.get("metadata"), dict)]


def _loader() -> Any:
    """Return the safe loader without dates, which are texts for kubectl."""
    import yaml

    class Loader(yaml.SafeLoader):
        """A loader."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in items if not tag.endswith(":timestamp")]
        for first, items in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader
