import json
import os
import subprocess
import sys

import pytest

from support.apiserver.server import ApiServer


def start(**environment):
    """Run the operator as its container does, until it gives up."""
    plain = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("KUBE", "PURPLEFLEA"))
    }
    return subprocess.run(
        [sys.executable, "-m", "purpleflea_operator"],
        env={**plain, "PURPLEFLEA_OPERATOR_HEALTH_PORT": "0", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def kubeconfig(folder, url):
    file = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
    }
    file.write_text(json.dumps(content))
    return str(file)


def the_one_line(done):
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("purpleflea-operator: ")
    return line


def test_a_missing_kubeconfig_ends_the_start_with_one_line(tmp_path):
    line = the_one_line(start(KUBECONFIG=str(tmp_path / "nowhere")))
    assert "no kubeconfig at" in line


def test_an_invalid_kubeconfig_ends_the_start_with_one_line(tmp_path):
    file = tmp_path / "kubeconfig"
    file.write_text("not: [a kubeconfig")
    assert "the kubeconfig cannot be read" in the_one_line(start(KUBECONFIG=str(file)))


def test_an_unreachable_server_ends_the_start_with_one_line(tmp_path):
    line = the_one_line(start(KUBECONFIG=kubeconfig(tmp_path, "http://127.0.0.1:9")))
    assert "the API server cannot be reached" in line


def test_a_missing_crd_ends_the_start_with_one_line(tmp_path):
    with ApiServer() as server:
        server.unregister("PurpleFleaAgent")
        line = the_one_line(start(KUBECONFIG=kubeconfig(tmp_path, server.url)))
    assert "purplefleaagents.purpleflea.com is not installed" in line


def test_a_missing_permission_ends_the_start_with_one_line(tmp_path):
    with ApiServer() as server:
        server.fail_next(
            verb="list", resource="configmaps", status=403, message="configmaps is forbidden"
        )
        line = the_one_line(start(KUBECONFIG=kubeconfig(tmp_path, server.url)))
    assert "missing permission: configmaps is forbidden" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [("WORKERS", "0"), ("WORKERS", "many"), ("LOG_LEVEL", "loud"), ("DATADOG_NAMESPACES", "")],
)
def test_an_invalid_setting_ends_the_start_with_one_line_that_names_it(name, value):
    line = the_one_line(start(**{f"PURPLEFLEA_OPERATOR_{name}": value}))
    assert f"PURPLEFLEA_OPERATOR_{name}" in line


HANGS = """
import asyncio, os, time
from purpleflea_operator import __main__, app, timings

async def run(settings):
    async def ignore_cancellation():
        while True:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                pass
    app.task = asyncio.create_task(ignore_cancellation())
    await asyncio.sleep(0.1)

app.run = run
timings.EXIT_LIMIT_S = 1
__main__.main()
"""


def test_a_task_that_ignores_its_cancellation_does_not_keep_the_process():
    done = subprocess.run([sys.executable, "-c", HANGS], timeout=30, check=False)
    assert done.returncode == 1
