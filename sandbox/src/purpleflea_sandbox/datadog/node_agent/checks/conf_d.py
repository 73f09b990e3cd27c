"""Files of conf.d: check templates for containers of certain images (ad_identifiers).

The files are read once at startup, as the Agent does. If a file is invalid, it is reported and skipped. A file
without ad_identifiers configures a check of the host; it is skipped too, because the stand-in runs only checks of
containers.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from purpleflea_sandbox.datadog.node_agent.checks import configuration
from purpleflea_sandbox.datadog.node_agent.checks.configuration import (
    CheckTemplate,
    ConfigurationError,
)

logger = logging.getLogger(__name__)


def templates(folder: Path) -> Mapping[str, Sequence[CheckTemplate]]:
    """Return templates by the short name of the image, from <check>.yaml and <check>.d/*.yaml."""
    by_image: dict[str, list[CheckTemplate]] = {}
    for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.d/*.yaml"))):
        check = path.stem if path.parent == folder else path.parent.name.removesuffix(".d")
        try:
            identifiers, template = _template(check, path.read_text())
        except (OSError, yaml.YAMLError, ConfigurationError) as error:
            logger.warning("%s is ignored: %s", path, error)
            continue
        for identifier in identifiers:
            by_image.setdefault(identifier, []).append(template)
    return by_image


def _template(check: str, text: str) -> tuple[Sequence[str], CheckTemplate]:
    document = yaml.safe_load(text)
    template = configuration.template(check, document)
    identifiers = document.get("ad_identifiers")
    if not (isinstance(identifiers, list) and identifiers):
        raise ConfigurationError("ad_identifiers (short names of images) is missing")
    return [str(identifier) for identifier in identifiers], template
