"""Provisions persistent volumes: watches claims and volumes, and creates and removes folders of the
node.

It runs as a daemon under the supervisor. Decisions are in `volumes`; this module does the I/O.
"""

import logging
import queue
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from kubernetes import client, config, watch
from urllib3.exceptions import HTTPError

from purpleflea_sandbox.cluster import volumes
from purpleflea_sandbox.cluster.volumes import VolumeObject

logger = logging.getLogger(__name__)

_WATCH_S = 300
_PAUSE_S = 1.0
Handler = Callable[[VolumeObject], None]
WorkItem = tuple[Handler, VolumeObject] | Exception


class Provisioner:
    """Handles one object at a time; every operation is idempotent."""

    def __init__(self, core: Any, root: Path) -> None:
        self._core = core
        self._root = root

    def on_claim(self, claim: VolumeObject) -> None:
        if not volumes.waits_for_volume(claim):
            return
        folder = self._root / volumes.volume_name(claim)
        folder.mkdir(exist_ok=True)
        # A pod may use any user id. Access is controlled by which pods can mount the volume.
        folder.chmod(0o777)
        try:
            self._core.create_persistent_volume(volumes.volume(claim, self._root))
        except client.ApiException as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
        else:
            logger.info("provisioned %s", folder.name)

    def on_volume(self, volume: VolumeObject) -> None:
        if not volumes.should_delete(volume):
            return
        name = volume["metadata"]["name"]
        shutil.rmtree(self._root / name, ignore_errors=True)
        try:
            self._core.delete_persistent_volume(name)
        except client.ApiException as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
        else:
            logger.info("removed %s", name)

    def remove_orphans(self) -> None:
        """Remove the folders that an earlier run could not remove. Called once at start."""
        claims = self._core.list_persistent_volume_claim_for_all_namespaces().items
        known = {volume.metadata.name for volume in self._core.list_persistent_volume().items}
        known |= {f"pvc-{claim.metadata.uid}" for claim in claims}
        for name in volumes.orphans((path.name for path in self._root.iterdir()), known):
            shutil.rmtree(self._root / name, ignore_errors=True)
            logger.info("removed orphan %s", name)


def list_and_watch(
    read: Callable[..., Any], serialise: Callable[[Any], Any]
) -> Iterator[VolumeObject]:
    """List all objects, then watch their changes without end.

    An interrupted watch is resumed; an expired watch restarts with a list.
    """
    while True:
        listed = read()
        yield from (serialise(item) for item in listed.items)
        version = listed.metadata.resource_version
        while version is not None:
            try:
                for event in watch.Watch().stream(
                    read, resource_version=version, timeout_seconds=_WATCH_S
                ):
                    raw = event["raw_object"]
                    version = raw["metadata"]["resourceVersion"]
                    if event["type"] != "DELETED":
                        yield raw
            except client.ApiException as error:
                logger.info("watch ended with status %s; listing again", error.status)
                version = None
            except HTTPError as error:
                logger.info("watch was interrupted (%s); resuming", type(error).__name__)
                time.sleep(_PAUSE_S)


def _feed(source: Iterator[VolumeObject], handler: Handler, sink: "queue.Queue[WorkItem]") -> None:
    try:
        for item in source:
            sink.put((handler, item))
    except Exception as error:
        sink.put(error)


def run(core: Any, serialise: Callable[[Any], Any], root: Path) -> None:
    """Work until killed.

    A failure ends the process; the supervisor restarts it, and it lists again.
    """
    provisioner = Provisioner(core, root)
    provisioner.remove_orphans()
    work: queue.Queue[WorkItem] = queue.Queue()
    reads = (
        (core.list_persistent_volume_claim_for_all_namespaces, provisioner.on_claim),
        (core.list_persistent_volume, provisioner.on_volume),
    )
    for read, handler in reads:
        source = list_and_watch(read, serialise)
        threading.Thread(target=_feed, args=(source, handler, work), daemon=True).start()
    while True:
        match work.get():
            case Exception() as error:
                raise error
            case (handle, item):
                handle(item)


def main(argv: list[str]) -> None:
    """Run with the arguments: a kubeconfig, and the folder for the volumes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    config.load_kube_config(argv[0])
    core = client.CoreV1Api()
    run(core, core.api_client.sanitize_for_serialization, Path(argv[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
