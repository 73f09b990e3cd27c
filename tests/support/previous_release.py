"""The previous release: its chart, its custom resource definitions, and the image of its operator.

They come from the history of the repository, so that they are what was released and not a copy that someone edits.
"""

import io
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.images import build, catalogue

COMMIT = "1f8b17c0c43ee682229bfd165c0ec584c837625d"
"""The last commit of the previous release. A new release sets it to its own."""
TAG = "previous"


def is_available(repository: Path) -> bool:
    """Return whether the history contains the previous release; a shallow clone or an archive may not."""
    command = ["git", "cat-file", "-e", f"{COMMIT}^{{commit}}"]
    return subprocess.run(command, cwd=repository, capture_output=True, check=False).returncode == 0


def checkout(repository: Path, folder: Path) -> Path:
    """Write the files of the previous release to a folder."""
    done = subprocess.run(
        ["git", "archive", COMMIT], cwd=repository, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def operator_image(files: Path, progress: Progress) -> Path:
    """Return the archive of the operator image of a checkout, with the tag `previous`."""
    (current,) = catalogue.chosen(["operator"])
    repository = current.reference.rpartition(":")[0]
    image = replace(current, name="operator-previous", reference=f"{repository}:{TAG}")
    return build.ensure_of(image, files, progress)
