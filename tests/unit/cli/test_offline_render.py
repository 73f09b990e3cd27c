"""`kubectl purpleflea render --offline`: the operator's renderer as a process, and every way in which it can fail."""

import io
import json
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from kubectl_purpleflea.application import cli
from purpleflea_operator import __main__ as operator_command
from purpleflea_operator.settings import OperatorSettings
from support.builders import an_agent


@pytest.fixture
def render(tmp_path):
    """Run `render --offline` with manifests in a file."""

    def run(*manifests, flags=()):
        path = tmp_path / "agents.yaml"
        path.write_text(yaml.safe_dump_all(manifests), encoding="utf-8")
        return CliRunner().invoke(cli, ["render", "--offline", "-f", str(path), *flags])

    return run


@pytest.fixture
def a_renderer(tmp_path):
    """Return a command that runs a shell script in the place of the renderer."""

    def write(script):
        program = tmp_path / "renderer"
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        return str(program)

    return write


def manifest(name="momentum", **spec):
    found = an_agent(name, **spec)
    return {
        **{key: found[key] for key in ("apiVersion", "kind", "spec")},
        "metadata": {"name": name},
    }


def test_the_objects_are_printed_without_a_cluster_and_the_diff_is_said_to_be_skipped(render):
    done = render(manifest(replicas=2), manifest("breakout"), flags=("--namespace=trading",))
    assert done.exit_code == 0, done.output
    kinds = [(item["kind"], item["metadata"]["name"]) for item in yaml.safe_load_all(done.stdout)]
    for name in ("momentum", "breakout"):
        assert {("ConfigMap", name), ("StatefulSet", name)} <= set(kinds)
    assert "the diff is skipped, because --offline reads no cluster" in done.stderr
    assert "momentum: rendered without a cluster, so the connection" in done.stderr
    done = render(manifest(), flags=("--output=json", "--namespace=trading"))
    items = json.loads(done.stdout)["items"]
    assert {item["metadata"]["namespace"] for item in items} == {"trading"}


def test_the_settings_of_the_operator_apply(render, monkeypatch):
    monkeypatch.setenv("PURPLEFLEA_OPERATOR_AGENT_IMAGE", "registry.example/agent:9")
    assert OperatorSettings().agent_image == "registry.example/agent:9"
    assert "image: registry.example/agent:9" in render(manifest()).stdout


def test_an_invalid_field_is_named_and_the_other_agents_are_printed(render):
    done = render(manifest(replicas=-1), manifest("breakout"))
    assert done.exit_code == 2
    assert "error: PurpleFleaAgent momentum: spec.replicas" in done.stderr
    assert "name: breakout" in done.stdout


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("echo no such image >&2; exit 125", "ended with exit code 125: no such image"),
        ("echo hello", "the answer of the renderer is not a rendering; use one of the same"),
        ("echo '[]'", "the answer of the renderer is not a rendering"),
        ("sleep 1000", "the renderer gave no answer: "),
        ("exec yes", "the renderer gave no answer: "),
    ],
)
def test_a_renderer_that_fails_is_reported_in_one_line(
    render, a_renderer, monkeypatch, script, text
):
    limit_s = 0.5 if "sleep" in script else 170.0
    monkeypatch.setattr("kubectl_purpleflea.workflows.offline_rendering.LIMIT_S", limit_s)
    monkeypatch.setattr("kubectl_purpleflea.kubectl.processes.MAX_OUTPUT", 1024 * 1024)
    done = render(manifest(), flags=(f"--renderer={a_renderer(script)}",))
    assert (done.exit_code, done.stdout) == (2, "")
    assert text in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("renderer", "text"),
    [
        ("/no/program run", "the program of --renderer is not found: /no/program run"),
        ("'", "--renderer cannot be read"),
        ("", "--renderer 'docker run --rm -i IMAGE render', or install it beside the plugin"),
    ],
)
def test_a_missing_renderer_is_named_with_the_way_to_get_it(render, monkeypatch, renderer, text):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    done = render(manifest(), flags=(f"--renderer={renderer}",))
    assert done.exit_code == 2
    assert text in done.stderr


@pytest.mark.parametrize(
    "content", ["", "[", "{}", '{"kind": "Pod"}', "[" * 100_000, "x" * 2_000_000]
)
def test_the_command_of_the_operator_refuses_everything_that_is_not_an_agent(
    content, monkeypatch, capfd
):
    monkeypatch.setattr(sys, "argv", ["purpleflea-operator", "render"])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    assert operator_command.main() == 1
    assert capfd.readouterr().err.startswith("purpleflea-operator: stdin is not a PurpleFleaAgent")


def test_the_plugin_imports_nothing_of_the_operator_to_render_with_it(tmp_path):
    path = tmp_path / "agent.yaml"
    path.write_text(yaml.safe_dump(manifest()), encoding="utf-8")
    code = (
        "import sys; from kubectl_purpleflea.application import main\n"
        f"sys.argv = ['x', 'render', '--offline', '-f', {str(path)!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([n for n in sys.modules if n.startswith('purpleflea_operator')], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
