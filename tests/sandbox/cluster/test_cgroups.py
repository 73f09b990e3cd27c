from pathlib import Path

import pytest

from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.local import cgroups
from purpleflea_sandbox.cluster.local.cgroups import Hierarchy

SPLIT = """\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""


def test_every_hierarchy_of_both_versions_is_found(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(SPLIT)

    assert cgroups.hierarchies(mounts) == (
        Hierarchy(root=Path("/sys/fs/cgroup/cpu"), version=1),
        Hierarchy(root=Path("/sys/fs/cgroup/systemd"), version=1),
        Hierarchy(root=Path("/sys/fs/cgroup/unified"), version=2),
    )


def test_a_version_1_cpuset_inherits_cpus_and_memory_nodes(tmp_path: Path) -> None:
    for name, value in (("cpuset.cpus", "0-1"), ("cpuset.mems", "0")):
        (tmp_path / name).write_text(value)
    (tmp_path / "plane").mkdir()
    for name in ("cpuset.cpus", "cpuset.mems"):
        (tmp_path / "plane" / name).write_text("\n")

    cgroups.create("plane", (Hierarchy(root=tmp_path, version=1),))

    assert (tmp_path / "plane" / "cpuset.cpus").read_text() == "0-1"
    assert (tmp_path / "plane" / "cpuset.mems").read_text() == "0"


def test_a_version_2_cgroup_delegates_its_controllers(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "plane"):
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.controllers").write_text("memory\n")
        (folder / "cgroup.subtree_control").write_text("")

    cgroups.create("plane", (Hierarchy(root=tmp_path, version=2),))

    for folder in (tmp_path, tmp_path / "plane"):
        assert (folder / "cgroup.subtree_control").read_text() == "+memory"


def test_a_version_2_root_without_delegation_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    for folder, controllers in ((tmp_path, "cpu memory pids hugetlb"), (tmp_path / "plane", "")):
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.controllers").write_text(controllers)
        (folder / "cgroup.subtree_control").write_text("")

    with pytest.raises(
        ClusterError, match=r"does not delegate cpu, memory, pids, because .* move them"
    ):
        cgroups.create("plane", (Hierarchy(root=tmp_path, version=2),))


def test_removal_deletes_the_whole_tree_bottom_up(tmp_path: Path) -> None:
    (tmp_path / "plane" / "kubepods" / "besteffort").mkdir(parents=True)
    (tmp_path / "other").mkdir()

    cgroups.remove("plane", (Hierarchy(root=tmp_path, version=1),))

    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_an_error_names_a_cgroup_that_stays_in_use(tmp_path: Path) -> None:
    (tmp_path / "plane").mkdir()
    (tmp_path / "plane" / "busy").touch()

    with pytest.raises(ClusterError, match="plane is still in use"):
        cgroups.remove("plane", (Hierarchy(root=tmp_path, version=1),), timeout_s=0.1)


def test_a_machine_without_hierarchies_is_an_error() -> None:
    with pytest.raises(ClusterError, match="no cgroup hierarchy is mounted"):
        cgroups.create("plane", ())


def test_a_read_only_hierarchy_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="--privileged"):
        cgroups.create("plane", (Hierarchy(root=tmp_path / "gone", version=1),))
