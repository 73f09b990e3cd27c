"""Writes of the ConfigMap with the trading mode, for the control lane. A late write cannot undo another decision.

A ConfigMap is created only if there is none. It is applied only with its UID, and with its version if that loosens the
mode. The module decides no mode.
"""

from purpleflea_operator.controllers.agent.decisions import control, plan
from purpleflea_operator.controllers.agent.decisions.gather import is_owned
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import ObjectCache, owner_of
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ref_of
from purpleflea_operator.parsing import Manifest


class OutdatedError(Exception):
    """The cached version of a ConfigMap was outdated. `cause` is the error of the write."""

    def __init__(self, cause: errors.Conflict) -> None:
        super().__init__(str(cause))
        self.cause = cause


class ConfigMapWrites:
    """Writes ConfigMaps, and keeps the results in the cache."""

    def __init__(self, cluster: KubeClient, cache: ObjectCache) -> None:
        self._cluster = cluster
        self._cache = cache

    async def perform(self, action: plan.Create | plan.Apply) -> None:
        """Perform a write.

        Raises:
            OutdatedError: The cached version was outdated. The cache has the stored one now.
            ApiError: The request failed, or the mode is not stored.
        """
        manifest, is_new = action.manifest, isinstance(action, plan.Create)
        stored = await (self._create(manifest) if is_new else self._apply(manifest))
        self._cache.put(stored)
        if not control.same_mode(stored, manifest):
            # Without this check, the passes that wait would repeat the write without a pause.
            raise errors.Invalid(
                f"ConfigMap {stored['metadata']['name']} is stored with another control file, so the agents "
                "do not receive the mode; correct the admission webhook that changes it"
            )

    async def _create(self, manifest: Manifest) -> Manifest:
        """Create a ConfigMap that the cache does not have.

        If a pass creates it at the same time, it has the same content. If it exists without its labels, apply it.
        """
        try:
            return await self._cluster.create(ref_of(manifest), manifest)
        except errors.AlreadyExists as error:
            existing = await self._cluster.get(ref_of(manifest))
            if existing is None:
                raise
            metadata, (owner,) = manifest["metadata"], manifest["metadata"]["ownerReferences"]
            if not is_owned(existing, owner["uid"]):
                raise errors.Invalid(
                    f"ConfigMap {metadata['name']} exists already and has another owner, so the agents do not "
                    "receive the mode; delete that object"
                ) from error
            if owner_of(existing) == owner_of(manifest):
                if control.same_mode(existing, manifest):
                    return existing
                if self._cache.put(existing):
                    raise OutdatedError(error) from error
            uid = existing["metadata"]["uid"]
            return await self._apply({**manifest, "metadata": {**metadata, "uid": uid}})

    async def _apply(self, manifest: Manifest) -> Manifest:
        try:
            return await self._cluster.apply(manifest)
        except errors.Conflict as error:
            live, uid = await self._cluster.get(ref_of(manifest)), manifest["metadata"]["uid"]
            is_gone = live is None or live["metadata"]["uid"] != uid
            if is_gone:
                # Its watch can be behind, and a halt must not wait for it.
                self._cache.mark_deleted(resources.CONFIG_MAP, uid)
            is_newer = live is not None and self._cache.put(live)
            if not (is_gone or is_newer):
                raise
            raise OutdatedError(error) from error
