"""Network settings of this machine's package index, passed to builds as secrets: a pip
configuration and a CA bundle.

They exist only while a build step runs and leave nothing in the image. This module reads settings
and writes only into the given folder.
"""

import configparser
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Only the settings for the location of the index and the access to it. Folders, targets and modes
# of this machine have no meaning inside a build.
_SETTINGS = (
    "index-url",
    "extra-index-url",
    "trusted-host",
    "proxy",
    "retries",
    "timeout",
    "default-timeout",
)
_SECTIONS = ("global", "install")
_CA_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
# Path of the bundle in the secret mounts of the Dockerfiles.
_BUNDLE_INSIDE = "/run/secrets/ca_bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """Files that a build may read while it runs, by their secret ids in the Dockerfiles."""

    files: Mapping[str, Path]

    def options(self) -> tuple[str, ...]:
        """Return the secret arguments for `docker build` and `buildah bud`."""
        return tuple(f"--secret=id={name},src={file}" for name, file in self.files.items())


def secrets(folder: Path, environment: Mapping[str, str] | None = None) -> Secrets:
    """Write the pip configuration of this machine into `folder` and return the files that a build
    needs.
    """
    settings = os.environ if environment is None else environment
    configured = _configured(settings)
    bundle = _bundle(settings, configured)
    lines = [
        "[global]",
        *(f"{name} = {configured[name]}" for name in _SETTINGS if name in configured),
    ]
    files = {"pip_conf": folder / "pip.conf"}
    if bundle is not None:
        lines.append(f"cert = {_BUNDLE_INSIDE}")
        files["ca_bundle"] = bundle
    descriptor = os.open(files["pip_conf"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as output:
        output.write("\n".join(lines).replace("\n\n", "\n") + "\n")
    return Secrets(files=files)


def _configured(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the effective settings of pip: its files from lowest to highest precedence, then the
    environment.
    """
    merged: dict[str, str] = {}
    for file in _pip_files(environment):
        parser = configparser.RawConfigParser()
        try:
            parser.read(file)
        except (configparser.Error, UnicodeDecodeError):
            continue
        for section in _SECTIONS:
            if parser.has_section(section):
                merged.update(parser.items(section))
    for name in (*_SETTINGS, "cert"):
        if value := environment.get(f"PIP_{name.upper().replace('-', '_')}"):
            merged[name] = value
    # Line breaks are removed, because a continuation line would need indentation.
    return {name: " ".join(value.split()) for name, value in merged.items()}


def _pip_files(environment: Mapping[str, str]) -> tuple[Path, ...]:
    home = Path(environment.get("HOME") or Path.home())
    user = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    named = environment.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return ()
    return (
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        user / "pip" / "pip.conf",
        *((Path(named),) if named else ()),
    )


def _bundle(environment: Mapping[str, str], configured: Mapping[str, str]) -> Path | None:
    candidates = (configured.get("cert"), *map(environment.get, _CA_VARIABLES), _SYSTEM_BUNDLE)
    return next((Path(name) for name in candidates if name and Path(name).is_file()), None)
