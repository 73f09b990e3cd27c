import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.identity import Identity, identify
from purpleflea_sandbox.cluster.kind.configuration import cluster_configuration
from purpleflea_sandbox.cluster.kind.provider import NODE_IMAGE_VARIABLE, Kind
from purpleflea_sandbox.cluster.kind.runner import CommandResult
from purpleflea_sandbox.cluster.port import Options
from purpleflea_sandbox.cluster.progress import NullProgress, Progress

QUIET = NullProgress()


class Engine:
    """A machine on which kind works; it records the clusters that were created."""

    def __init__(self) -> None:
        self.clusters: list[str] = []
        self.loaded: list[tuple[str, str]] = []
        self.commands: list[tuple[str, ...]] = []
        self.error = ""
        self.images: list[str] = []

    def run(self, argv: Sequence[str]) -> CommandResult:
        self.commands.append(tuple(argv))
        program, *arguments = argv
        if self.error:
            return CommandResult(code=1, err=self.error)
        if program == "/bin/kind":
            return self._kind(arguments)
        return self._kubectl(arguments)

    def _kind(self, arguments: list[str]) -> CommandResult:
        match arguments:
            case ["create", "cluster", "--name", name, *options]:
                self.clusters.append(name)
                self.images += (
                    options[options.index("--image") + 1 :] if "--image" in options else []
                )
            case ["delete", "cluster", "--name", name, "--kubeconfig", _]:
                self.clusters = [each for each in self.clusters if each != name]
            case ["get", "clusters"]:
                return CommandResult(code=0, out="\n".join(self.clusters))
            case ["load", "image-archive", archive, "--name", name]:
                self.loaded.append((archive, name))
            case ["export", "kubeconfig", "--name", _, "--kubeconfig", path]:
                Path(path).write_text("{}")
            case _:
                return CommandResult(code=1, err=f"unknown command {arguments}")
        return CommandResult(code=0)

    def _kubectl(self, arguments: list[str]) -> CommandResult:
        if "/version" in arguments:
            return CommandResult(code=0, out='{"gitVersion": "v1.37.0"}')
        if "config" in arguments:
            return CommandResult(code=0, out="https://127.0.0.1:40000")
        return CommandResult(code=0 if self.clusters else 1, out="ok")


def programs(names: Sequence[str], progress: Progress) -> Mapping[str, Path]:
    del progress
    return {name: Path("/bin") / name for name in names}


@pytest.fixture
def demo_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Identity:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(NODE_IMAGE_VARIABLE, raising=False)
    return identify("demo", tmp_path / "checkout")


def test_up_creates_a_cluster_named_after_this_checkout(demo_identity: Identity) -> None:
    engine = Engine()

    seen = Kind(demo_identity, engine, programs).up(Options(), QUIET)

    assert engine.clusters == [f"purpleflea-{demo_identity.id}"]
    assert seen.ready
    assert seen.versions == {"kubernetes": "v1.37.0"}
    assert seen.api == "https://127.0.0.1:40000"
    assert seen.kubeconfig.is_file()
    assert (demo_identity.sandbox / "bin" / "kubectl").readlink() == Path("/bin/kubectl")


def test_a_second_up_creates_no_second_cluster(demo_identity: Identity) -> None:
    engine = Engine()
    kind = Kind(demo_identity, engine, programs)
    kind.up(Options(), QUIET)

    kind.up(Options(), QUIET)

    assert engine.clusters == [f"purpleflea-{demo_identity.id}"]


def test_a_cluster_that_the_engine_lost_is_created_again(demo_identity: Identity) -> None:
    engine = Engine()
    kind = Kind(demo_identity, engine, programs)
    kind.up(Options(), QUIET)
    engine.clusters.clear()

    assert kind.up(Options(), QUIET).ready


def test_an_audit_log_cannot_be_added_to_a_running_cluster(demo_identity: Identity) -> None:
    kind = Kind(demo_identity, Engine(), programs)
    kind.up(Options(), QUIET)

    with pytest.raises(ClusterError, match="run 'cluster down' first"):
        kind.up(Options(audit=True), QUIET)


def test_down_removes_the_cluster_and_may_be_repeated(demo_identity: Identity) -> None:
    engine = Engine()
    kind = Kind(demo_identity, engine, programs)
    kind.up(Options(audit=True), QUIET)
    assert kind.audit_log == demo_identity.state / "logs" / "audit.jsonl"

    assert kind.down(QUIET)
    assert not kind.down(QUIET)

    assert engine.clusters == []
    assert kind.status().state == "stopped"
    assert not kind.kubeconfig.exists()


def test_archives_are_loaded_into_the_cluster(demo_identity: Identity) -> None:
    engine = Engine()

    Kind(demo_identity, engine, programs).load_images([Path("/images/agent.tar")], QUIET)

    assert engine.loaded == [("/images/agent.tar", f"purpleflea-{demo_identity.id}")]


def test_a_failure_of_kind_is_one_line_with_its_output(demo_identity: Identity) -> None:
    engine = Engine()
    engine.error = "ERROR: no space left on device"

    with pytest.raises(ClusterError, match="failed: ERROR: no space left on device"):
        Kind(demo_identity, engine, programs).up(Options(), QUIET)


@pytest.mark.parametrize(
    "error",
    [
        'ERROR: failed to list clusters: command "docker ps" failed with error: exit status 1\n\nCommand Output: '
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        'ERROR: failed to list clusters: exec: "docker": executable file not found in $PATH',
    ],
)
def test_without_a_docker_engine_the_error_names_the_remedy(
    demo_identity: Identity, error: str
) -> None:
    engine = Engine()
    engine.error = error

    with pytest.raises(ClusterError, match=r"none answers; start one\..*engine run -- COMMAND"):
        Kind(demo_identity, engine, programs).up(Options(), QUIET)


def test_the_audit_log_is_configured_for_kind_and_kubeadm() -> None:
    config = json.loads(cluster_configuration(policy=Path("/p"), audit_folder=Path("/logs")))

    [node] = config["nodes"]
    patches = [json.loads(patch) for patch in node["kubeadmConfigPatches"]]
    [api] = [patch["apiServer"] for patch in patches if patch["kind"] == "ClusterConfiguration"]
    flags = {flag["name"]: flag["value"] for flag in api["extraArgs"]}
    mounted = {mount["containerPath"] for mount in node["extraMounts"]}
    assert flags["audit-policy-file"] in mounted
    assert str(Path(flags["audit-log-path"]).parent) in mounted
    assert {volume["mountPath"] for volume in api["extraVolumes"]} == mounted


def test_without_audit_no_folder_of_the_machine_is_mounted() -> None:
    config = json.loads(cluster_configuration(policy=None, audit_folder=None))

    assert config["nodes"][0]["extraMounts"] == []


@pytest.mark.parametrize(
    ("variable", "option", "expected"),
    [
        ("", "", []),
        ("mine:1", "", ["mine:1"]),
        ("", "other:2", ["other:2"]),
        ("mine:1", "other:2", ["other:2"]),
    ],
)
def test_the_node_image_is_that_of_the_option_or_of_the_variable(
    monkeypatch: pytest.MonkeyPatch,
    demo_identity: Identity,
    variable: str,
    option: str,
    expected: list[str],
) -> None:
    monkeypatch.setenv(NODE_IMAGE_VARIABLE, variable)
    engine = Engine()

    Kind(demo_identity, engine, programs).up(Options(node_image=option), QUIET)

    assert engine.images == expected


def test_node_ports_lead_to_addresses_outside_the_network_of_the_engine(
    demo_identity: Identity,
) -> None:
    kind = Kind(demo_identity, Engine(), programs)
    kind.up(Options(node_ports=(30080, 30081)), QUIET)

    one, other = kind.expose_node_port(30080), kind.expose_node_port(30081)

    config = json.loads((demo_identity.state / "kind.json").read_text())
    mappings = config["nodes"][0]["extraPortMappings"]
    assert {item["listenAddress"] for item in mappings} == {"127.0.0.1"}
    hosts = {item["containerPort"]: item["hostPort"] for item in mappings}
    assert one == f"http://127.0.0.1:{hosts[30080]}"
    assert other == f"http://127.0.0.1:{hosts[30081]}" != one


def test_workers_have_the_settings_of_the_kubelet_and_no_ports() -> None:
    config = json.loads(
        cluster_configuration(policy=None, audit_folder=None, workers=2, ports={30080: 40000})
    )

    control_plane, *workers = config["nodes"]
    assert [item["role"] for item in workers] == ["worker", "worker"]
    assert control_plane["extraPortMappings"]
    for worker in workers:
        [patch] = worker["kubeadmConfigPatches"]
        assert json.loads(patch)["failCgroupV1"] is False
        assert "extraPortMappings" not in worker


def test_a_lost_node_is_noticed_after_the_time_of_the_option() -> None:
    config = json.loads(
        cluster_configuration(policy=None, audit_folder=None, workers=1, lost_node_after_s=20)
    )

    control_plane, worker = (
        {patch["kind"]: patch for patch in map(json.loads, node["kubeadmConfigPatches"])}
        for node in config["nodes"]
    )
    assert control_plane["ClusterConfiguration"]["controllerManager"]["extraArgs"] == [
        {"name": "node-monitor-grace-period", "value": "20s"}
    ]
    # Each kubelet sends a heartbeat after a quarter of this duration.
    assert control_plane["KubeletConfiguration"]["nodeLeaseDurationSeconds"] == 10
    assert worker["KubeletConfiguration"]["nodeLeaseDurationSeconds"] == 10


def test_without_the_option_a_lost_node_is_noticed_after_the_time_of_kubernetes() -> None:
    text = cluster_configuration(policy=None, audit_folder=None, workers=1)

    assert "node-monitor-grace-period" not in text
    assert "nodeLeaseDurationSeconds" not in text
