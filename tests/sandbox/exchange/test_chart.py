import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "paper-exchange"
HELM = shutil.which("helm") or str(Path(sys.executable).with_name("helm"))
KEY = "pf_paper_" + "1" * 32


def _helm(*arguments):
    return subprocess.run(
        [HELM, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def _rendered(*settings):
    flags = [part for setting in settings for part in ("--set", setting)]
    answer = _helm("template", "exchange", str(CHART), "--namespace", "sandbox", *flags)
    assert answer.returncode == 0, answer.stderr
    return {item["kind"]: item for item in yaml.safe_load_all(answer.stdout) if item}


def test_the_chart_passes_helm_lint():
    answer = _helm("lint", "--strict", str(CHART))
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize(
    "settings",
    [
        (),
        (f"keys={{{KEY} fleet}}", "adminToken=let-me-in"),
        ("service.type=NodePort", "service.nodePort=30080"),
        ("existingSecret.name=mine",),
    ],
)
def test_every_manifest_is_valid_kubernetes(settings):
    for manifest in _rendered(*settings).values():
        kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_the_pod_is_hardened():
    pod = _rendered()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    # The image has a numeric user, and OpenShift assigns its own.
    assert "runAsUser" not in pod["securityContext"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["image"] == "localhost/purpleflea-exchange:0.1.0"


def test_the_service_forwards_port_80_to_the_container():
    manifests = _rendered("service.type=NodePort", "service.nodePort=30080")
    (port,) = manifests["Service"]["spec"]["ports"]
    assert (port["port"], port["targetPort"], port["nodePort"]) == (80, "http", 30080)
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert manifests["Service"]["spec"]["selector"].items() <= labels.items()


def test_an_existing_secret_replaces_the_secret_of_the_chart():
    manifests = _rendered("existingSecret.name=mine", "existingSecret.keysEntry=exchange-keys")
    assert "Secret" not in manifests
    pod = manifests["Deployment"]["spec"]["template"]["spec"]
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "keys"]
    assert volume["secret"]["secretName"] == "mine"
    assert volume["secret"]["items"] == [{"key": "exchange-keys", "path": "keys"}]


def test_no_secret_value_is_outside_the_secret():
    manifests = _rendered(f"keys={{{KEY}}}", "adminToken=let-me-in")
    assert manifests.pop("Secret")["stringData"] == {"keys": KEY, "admin-token": "let-me-in"}
    assert not re.search(f"{KEY}|let-me-in", yaml.safe_dump_all(manifests.values()))


@pytest.mark.parametrize(
    "setting",
    [
        "bogus=1",
        "keys={sk_live_x}",
        "settings.seed=-1",
        "service.type=LoadBalancer",
        "adminToken=x",
    ],
)
def test_an_invalid_value_is_rejected_by_the_schema(setting):
    answer = _helm("template", "exchange", str(CHART), "--set", setting)
    assert answer.returncode != 0
    assert "schema" in answer.stderr
