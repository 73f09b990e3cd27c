import os
import shutil
from pathlib import Path

import pytest

from purpleflea_sandbox.cluster import binaries, gobuild
from purpleflea_sandbox.cluster.binaries import Cache
from purpleflea_sandbox.cluster.build_specs import (
    BUILD_SPECS,
    KIND,
    KIND_NODE,
    LOCAL,
    MODULES,
    SIMULATED,
    BuildSpec,
)
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.progress import NullProgress
from purpleflea_sandbox.images.catalogue import PROGRAMS


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(binaries.VARIABLE, raising=False)


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_every_provider_names_known_programs_with_pinned_sources() -> None:
    for name in (*LOCAL, *SIMULATED, *KIND, *KIND_NODE, *(image.program for image in PROGRAMS)):
        folder = BUILD_SPECS[name].folder
        assert (folder / "go.mod").is_file(), name
        assert (folder / "go.sum").is_file() or (folder / "main.go").is_file(), name


def test_kubernetes_programs_are_stamped_with_their_version() -> None:
    flags = BUILD_SPECS["kube-apiserver"].ldflags

    assert "-X k8s.io/component-base/version.gitVersion=v1.37.1" in flags
    assert "-X k8s.io/client-go/pkg/version.gitMinor=37" in flags


def test_programs_of_the_configured_folder_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    etcd = program(tmp_path / "mine" / "etcd")
    monkeypatch.setenv(binaries.VARIABLE, str(tmp_path / "mine"))

    assert binaries.ensure(["etcd"], NullProgress()) == {"etcd": etcd}


def test_a_missing_configured_folder_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(binaries.VARIABLE, "/no/such/folder")

    with pytest.raises(
        ClusterError, match="PURPLEFLEA_KUBE_BIN is set to /no/such/folder, which is not a folder"
    ):
        binaries.ensure(["etcd"], NullProgress())


def test_a_cached_program_is_reused(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache" / "purpleflea" / "bin")
    etcd = program(cache.path(BUILD_SPECS["etcd"]))

    assert binaries.ensure(["etcd"], NullProgress()) == {"etcd": etcd}


def test_the_cache_key_depends_on_the_pinned_sources_and_the_stamps(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    folders = {
        cache.path(BUILD_SPECS[name]).parent for name in ("etcd", "kwok", "kubelet", "kubectl")
    }
    restamped = BuildSpec(
        name="kwok", module="kwok", package="p", expected_s=1, stamps=("a.b=v0.9.0",)
    )

    assert len(folders) == 3
    assert cache.path(BUILD_SPECS["kubelet"]).parent == cache.path(BUILD_SPECS["kubectl"]).parent
    assert cache.path(restamped) != cache.path(BUILD_SPECS["kwok"])


@pytest.mark.skipif(shutil.which("go") is None, reason="needs a Go toolchain")
def test_a_failed_build_names_its_log_and_leaves_no_program(tmp_path: Path) -> None:
    broken = BuildSpec(name="pause", module="pause", package="./missing", expected_s=1)
    target = tmp_path / "bin" / "pause"

    with pytest.raises(ClusterError, match=r"building pause failed .* see the log .*pause\.log"):
        gobuild.build([(broken, target)], NullProgress())

    assert list(target.parent.iterdir()) == []


@pytest.mark.skipif(shutil.which("go") is None, reason="needs a Go toolchain")
def test_a_missing_program_is_built_once_and_then_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    # Keep the build cache of Go, which may be warm; this test only replaces the cache of the sandbox.
    monkeypatch.setenv("GOCACHE", os.environ.get("GOCACHE") or str(Path.home() / ".cache/go-build"))

    [path] = binaries.ensure(["pause"], NullProgress()).values()

    assert os.access(path, os.X_OK)
    built = path.stat().st_mtime_ns
    assert binaries.ensure(["pause"], NullProgress()) == {"pause": path}
    assert path.stat().st_mtime_ns == built


def test_the_go_modules_are_part_of_the_package() -> None:
    assert MODULES.is_dir()
    assert MODULES.parent.name == "cluster"
