from pathlib import Path

import pytest

from purpleflea_sandbox.cluster import packages
from purpleflea_sandbox.cluster.errors import ClusterError, with_log
from purpleflea_sandbox.cluster.local import mount_points
from purpleflea_sandbox.cluster.progress import NullProgress
from purpleflea_sandbox.cluster.reports import Reports


def test_a_missing_mount_point_is_created_and_removed_again(tmp_path: Path) -> None:
    point = tmp_path / "kubelet"

    mount_points.create([point])
    assert point.is_dir()
    mount_points.remove([point])

    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_never_removed(tmp_path: Path) -> None:
    point = tmp_path / "kubelet"
    point.mkdir()

    mount_points.create([point])
    mount_points.remove([point])

    assert point.is_dir()


def test_a_mount_point_with_files_of_another_program_is_kept(tmp_path: Path) -> None:
    point = tmp_path / "kubelet"
    mount_points.create([point])
    (point / "of-another-program").touch()

    mount_points.remove([point])

    assert [path.name for path in point.iterdir()] == ["of-another-program"]


def test_removing_a_mount_point_twice_succeeds(tmp_path: Path) -> None:
    mount_points.create([tmp_path / "kubelet"])

    for _ in range(2):
        mount_points.remove([tmp_path / "kubelet"])

    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any program of the packages in these tests."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_a_package_is_installed_if_its_programs_exist(bare_machine: Path) -> None:
    for name in ("mmdebstrap", "buildah"):
        (bare_machine / name).write_text("")
        (bare_machine / name).chmod(0o755)

    assert packages.missing(["mmdebstrap", "buildah"]) == []


def test_missing_packages_are_named_with_the_command_to_install_them(bare_machine: Path) -> None:
    (bare_machine / "apt-get").write_text("#!/bin/sh\nexit 9\n")
    (bare_machine / "apt-get").chmod(0o755)

    with pytest.raises(
        ClusterError,
        match=r"run: sudo apt-get install --yes --no-install-recommends no-such-tool$",
    ):
        packages.ensure(["no-such-tool"], NullProgress(), is_root=False)


def test_a_failed_installation_names_its_log(bare_machine: Path) -> None:
    (bare_machine / "apt-get").write_text("#!/bin/sh\necho no such package\nexit 9\n")
    (bare_machine / "apt-get").chmod(0o755)

    with pytest.raises(ClusterError, match=r"apt-get install .*failed; see the log .*apt\.log"):
        packages.ensure(["no-such-tool"], NullProgress(), is_root=True)


def test_no_package_is_installed_if_none_is_missing(bare_machine: Path) -> None:
    (bare_machine / "buildah").write_text("")
    (bare_machine / "buildah").chmod(0o755)

    packages.ensure(["buildah"], NullProgress())

    assert not (bare_machine / "cache").exists()


def test_an_error_contains_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "etcd.log"
    log.write_text("".join(f"line {number}\n" for number in range(20)))

    text = str(with_log("etcd failed", log))

    assert text.startswith(f"etcd failed; see the log {log}\n")
    assert text.splitlines()[1:] == [f"    line {number}" for number in range(14, 20)]


def test_an_error_without_a_log_still_names_it(tmp_path: Path) -> None:
    assert str(with_log("x", tmp_path / "none.log")) == f"x; see the log {tmp_path / 'none.log'}"


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (
            '{"phase": "failed", "pid": 0, "deaths": 0, "last_exit": 3}',
            r"setup failed \(exit code 3\)",
        ),
        ('{"phase": "waiting", "pid": 0, "deaths": 4, "last_exit": 1}', "setup exited 4 times"),
    ],
)
def test_a_unit_that_keeps_failing_is_an_error_with_its_log(
    tmp_path: Path, unit: str, message: str
) -> None:
    (tmp_path / "units.json").write_text(f'{{"setup": {unit}}}')

    with pytest.raises(ClusterError, match=rf"{message}.*setup\.log"):
        Reports(report=tmp_path / "units.json", logs=tmp_path).check()


def test_a_unit_that_exited_while_others_started_is_tolerated(tmp_path: Path) -> None:
    (tmp_path / "units.json").write_text(
        '{"api": {"phase": "running", "pid": 7, "deaths": 1, "last_exit": 1}}'
    )
    reports = Reports(report=tmp_path / "units.json", logs=tmp_path)

    reports.check()

    assert reports.pids() == {"api": 7}
    assert reports.phase("api") == "running"


def test_a_missing_report_means_that_all_units_are_waiting(tmp_path: Path) -> None:
    reports = Reports(report=tmp_path / "units.json", logs=tmp_path)

    reports.check()

    assert reports.phase("api") == "waiting"
