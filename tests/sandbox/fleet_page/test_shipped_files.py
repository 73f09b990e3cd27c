import hashlib
import json
import re
import shutil
import subprocess

import pytest


@pytest.fixture
def vendored(repository):
    return repository / "sandbox/src/purpleflea_sandbox/datadog/web/static/vendor"


def test_vendored_files_match_their_pinned_hashes(vendored):
    lines = (vendored / "SHA256SUMS").read_text().splitlines()
    pinned = {name: digest for digest, name in (line.split() for line in lines)}
    there = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in vendored.iterdir()
        if path.name != "SHA256SUMS"
    }
    assert there == pinned
    assert {"LICENSE", "NOTICE", "echarts.min.js"} <= set(there)


def test_lock_file_has_the_shipped_version_and_no_registry(repository, vendored):
    lock = json.loads((repository / "sandbox/web/package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert all("resolved" not in one and one["integrity"] for one in packages.values())
    version = packages["node_modules/echarts"]["version"]
    assert f't.version="{version}"' in (vendored / "echarts.min.js").read_text()


def test_own_files_reference_only_existing_local_files(vendored):
    static = vendored.parent
    for path in [*static.glob("*.js"), *static.glob("*.html"), *static.glob("*.css")]:
        text = path.read_text()
        assert not re.search(r"https?://", text), path
        assert not re.search(r"innerHTML\s*=[^=]", text), path
        names = re.findall(r'from "\./([\w.]+)"', text)
        names += re.findall(r"/fleet/static/([\w./]+)", text)
        for name in names:
            assert (static / name).is_file(), f"{path.name} refers to {name}"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_scripts_are_well_formed(vendored):
    for path in vendored.parent.glob("*.js"):
        kind = "commonjs" if path.name == "theme.js" else "module"
        command = ["node", f"--input-type={kind}", "--check", "-"]
        checked = subprocess.run(command, input=path.read_text(), text=True, capture_output=True)
        assert checked.returncode == 0, f"{path.name}: {checked.stderr}"
