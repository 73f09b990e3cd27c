"""Base image without a registry: a minimal file system of this machine's distribution with Python.
mmdebstrap builds it from the package sources of the local apt.

The image does not contain the apt settings and sources of this machine.
"""

import platform
import re
import shutil
import subprocess
from pathlib import Path

from purpleflea_sandbox.cluster import packages
from purpleflea_sandbox.images import archives, keys, run_logged
from purpleflea_sandbox.images.errors import ImageError

NAME = "base"
# usr-is-merged avoids usrmerge and therefore Perl; media-types avoids mailcap for the same reason;
# wheels need libstdc++.
_PACKAGES = (
    "usr-is-merged",
    "python3",
    "python3-venv",
    "ca-certificates",
    "media-types",
    "tzdata",
    "libstdc++6",
)
_EXCLUDED_PATHS = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    "/usr/lib/*/gconv/*",
)
# The image contains no settings of this machine. 00mmdebstrap stays, because mmdebstrap deletes it
# itself. /dev is not changed, because the mounts of the host are visible there while the hook runs.
_CLEAN = (
    'find "$1/etc/apt" -type f ! -name 00mmdebstrap -delete; '
    'rm -rf "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap" "$1"/var/lib/apt/* "$1"/var/cache/* "$1"/var/log/*; '
    'rm -f "$1/etc/machine-id" "$1/etc/resolv.conf" "$1/etc/hostname"'
)
_PYTHON = 'chroot "$1" python3 -c \'import sys; sys.exit(sys.version_info < (3, 11) and "needs Python 3.11")\''
_MERGED_USR = Path("/usr/share/mmdebstrap/hooks/merged-usr")
_NETWORK_SETTING = re.compile(r"Acquire::(https?|Retries|Check-Valid-Until|Check-Date)\b.*;")
EXPECTED_S = 35


def key() -> str:
    """Return the key of the base image of this machine's distribution."""
    inputs = (platform.machine(), codename(), *_PACKAGES, *_EXCLUDED_PATHS, _CLEAN)
    return keys.text_key("\0".join(inputs))


def codename() -> str:
    """Return the code name of this machine's distribution, or an empty string if it has none."""
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def build(log: Path) -> Path:
    """Return the tar of the base file system, from the cache or built now.

    Raises ImageError if the distribution has no code name or the build fails.
    """
    if (cached := archives.find(NAME, key())) is not None:
        return cached
    if not codename():
        raise ImageError(
            "this distribution has no code name in /etc/os-release, so building images needs a Docker engine"
        )
    with archives.publishing(NAME, key()) as unfinished:
        # mmdebstrap selects its output format by the suffix of the file name.
        target = unfinished.with_suffix(".partial.tar")
        try:
            run_logged.run(
                _command(target), log=log, doing="building the base image with mmdebstrap"
            )
            target.rename(unfinished)
        finally:
            target.unlink(missing_ok=True)
    return archives.path(NAME, key())


def _command(target: Path) -> list[str]:
    hooks = [f"--hook-dir={_MERGED_USR}"] if _MERGED_USR.is_dir() else []
    return [
        packages.program("mmdebstrap"),
        "--variant=essential",
        *hooks,
        f"--include={','.join(_PACKAGES)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED_PATHS),
        *(f"--aptopt={setting}" for setting in _network_settings()),
        "--skip=cleanup/apt",
        f"--customize-hook={_PYTHON}",
        f"--customize-hook={_CLEAN}",
        codename(),
        str(target),
        *local_sources(codename()),
    ]


def local_sources(suite: str) -> list[str]:
    """Return the files with the local apt sources of the distribution; if there are none,
    mmdebstrap uses its default.
    """
    files: list[str] = []
    for line in _apt_output(
        "apt-get", "indextargets", "--format", "$(SOURCESENTRY) $(RELEASE) $(COMPONENT)"
    ):
        entry, _, release_and_component = line.partition(" ")
        release, _, component = release_and_component.partition(" ")
        file = entry.rpartition(":")[0]
        if release.startswith(suite) and component == "main" and file not in files:
            files.append(file)
    return files


def _network_settings() -> list[str]:
    """Return the apt settings for network access (proxy, certificates) without any other settings."""
    return [line for line in _apt_output("apt-config", "dump") if _NETWORK_SETTING.fullmatch(line)]


def _apt_output(*command: str) -> list[str]:
    if shutil.which(command[0]) is None:
        return []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []
