import re
from pathlib import Path

import pytest

from purpleflea_sandbox import paths
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.identity import identify
from purpleflea_sandbox.cluster.local import configs
from purpleflea_sandbox.cluster.local.paths import KUBELET_ROOT, cluster_paths


def test_the_same_name_in_two_checkouts_shares_nothing() -> None:
    one = identify("demo", Path("/checkouts/one"))
    two = identify("demo", Path("/checkouts/two"))

    for facet in ("id", "state", "kept", "lock", "cgroup", "kubeconfig"):
        assert getattr(one, facet) != getattr(two, facet), facet


def test_two_names_in_one_checkout_share_nothing() -> None:
    one, two = (identify(name, Path("/checkout")) for name in ("demo", "tests"))

    for facet in ("id", "state", "kept", "lock", "cgroup", "kubeconfig"):
        assert getattr(one, facet) != getattr(two, facet), facet


def test_the_demo_uses_the_default_kubeconfig_path() -> None:
    assert identify("demo", Path("/c")).kubeconfig == Path("/c/.sandbox/kubeconfig")
    assert identify("tests", Path("/c")).kubeconfig == Path("/c/.sandbox/tests.kubeconfig")


@pytest.mark.parametrize("name", ["", "Demo", "a/b", "-a", "a-", "a" * 25, "ä", "a b", "a\n"])
def test_an_invalid_cluster_name_is_rejected(name: str) -> None:
    with pytest.raises(ClusterError, match="is not a valid cluster name"):
        identify(name, Path("/checkout"))


def test_state_and_cache_follow_the_xdg_variables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))

    assert paths.state() == tmp_path / "s" / "purpleflea"
    assert paths.cache() == tmp_path / "c" / "purpleflea"


def test_a_relative_xdg_variable_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", "relative")

    assert paths.state() == tmp_path / ".local/state/purpleflea"


def test_the_checkout_contains_the_folder(tmp_path: Path) -> None:
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "sandbox" / "pyproject.toml").touch()
    (tmp_path / "docs" / "deep").mkdir(parents=True)

    assert paths.checkout(tmp_path / "docs" / "deep") == tmp_path.resolve()


@pytest.mark.parametrize("folder", ["/run/user/0", "/var/lib/kubelet/state", "/var/log/pods"])
def test_a_state_folder_that_the_cluster_hides_is_an_error_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", folder)

    with pytest.raises(ClusterError, match="set XDG_STATE_HOME and XDG_CACHE_HOME"):
        cluster_paths(identify("demo", Path("/checkout"))).require_visible()


def test_socket_paths_stay_short_in_a_deep_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/" + "d" * 200)
    paths_of_cluster = cluster_paths(identify("demo", Path("/checkout")))

    sockets = [
        *re.findall(
            r'address = "(.*)"', configs.containerd(paths_of_cluster, runc="r", snapshotter="o")
        ),
        *re.findall(r'address = "(.*)"', configs.containerd_for_cleanup(paths_of_cluster)),
        str(KUBELET_ROOT / "pod-resources" / "kubelet.sock"),
    ]

    assert len(sockets) == 3
    assert all(len(f"{path}.ttrpc") <= 107 for path in sockets)
