"""Planted canaries never reach a support archive; and the links, completion scripts and k9s files."""

import json
import re
import tarfile

import pytest
import yaml
from click.testing import CliRunner

from kubectl_purpleflea.application import cli
from kubectl_purpleflea.commands.catalog import COMMANDS
from kubectl_purpleflea.decisions.links import links
from kubectl_purpleflea.decisions.redaction import MASK, redacted_object, redacted_text
from support.builders import a_pod, a_spec, an_agent

CANARY = "canary7f3a9c1e5b2d8460aa11bb22cc33"
"""Every secret and amount below contains it or is in AMOUNTS."""
AMOUNTS = ("48151.62", "-2342.01")

LINES = [
    f'{{"level":"INFO","message":"x","api_key":"{CANARY}"}}',
    f"Authorization: Bearer {CANARY}",
    f"GET https://user:{CANARY}@exchange.example.com/v1",
    f"password={CANARY}; next",
    f"DD-API-KEY: {CANARY}",
    f"token: '{CANARY}'",
    f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
    f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}",
    f"eyJhbGciOiJ9.{CANARY}.{CANARY}",
    f"pf_{CANARY}",
    '{"event":"wallet","balance_usd":"48151.62","pnl_usd":-2342.01}',
    "equity_usd=48151.62 amount: -2342.01",
    "the wallet 0x52908400098527886E0F7030069857D2E4169EE7 was funded",
]


@pytest.mark.parametrize("line", LINES)
def test_keys_and_amounts_are_removed_from_log_lines(line):
    found = redacted_text(line)
    assert MASK in found
    assert not any(item in found for item in (CANARY, *AMOUNTS, "52908400098527886E0F"))


def test_other_parts_of_a_line_stay():
    line = '{"level":"ERROR","message":"order refused","market":"BTC-USD","latency_ms":12.5,"status":422}'
    assert redacted_text(line) == line


def a_canary_pod():
    pod = a_pod(
        env=[
            {"name": "API_KEY", "value": CANARY},
            {"name": "HARMLESS", "value": CANARY},
            {"name": "REF", "valueFrom": {"secretKeyRef": {"name": "exchange", "key": "api-key"}}},
        ],
        annotations={
            "purpleflea.com/settings": CANARY,
            "purpleflea.com/mode": "Halted",
            "other.example.com/note": CANARY,
        },
    )
    pod["spec"]["containers"][0] |= {"args": [f"--api-key={CANARY}"], "command": ["x", CANARY]}
    pod["metadata"]["managedFields"] = [{"manager": CANARY}]
    return pod


OBJECTS = [
    a_canary_pod(),
    {
        "kind": "Secret",
        "metadata": {"name": "s"},
        "data": {"api-key": CANARY},
        "stringData": {"a": CANARY},
    },
    {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"config.yaml": CANARY}},
    {**an_agent(), "spec": a_spec(), "status": {"note": f"api_key={CANARY}"}},
    {"kind": "Pod", "metadata": {}, "spec": {"token": CANARY, "nested": [{"password": CANARY}]}},
    {"kind": "X", "status": {"balanceUsd": AMOUNTS[0], "pnl": [{"pnl_usd": AMOUNTS[1]}]}},
    {"kind": "Event", "message": f"Back-off: token={CANARY}"},
]


@pytest.mark.parametrize("manifest", OBJECTS)
def test_no_canary_is_left_in_an_object(manifest):
    text = json.dumps(redacted_object(manifest))
    assert not any(item in text for item in (CANARY, *AMOUNTS)), text


def test_a_redacted_object_is_still_useful():
    found = redacted_object(a_canary_pod())
    assert found["metadata"]["annotations"]["purpleflea.com/mode"] == "Halted"
    assert found["status"]["containerStatuses"][0]["name"] == "agent"
    env = found["spec"]["containers"][0]["env"]
    assert env[0] == {"name": "API_KEY", "value": MASK}
    assert env[2]["valueFrom"]["secretKeyRef"] == {"name": "exchange", "key": "api-key"}
    agent = redacted_object(an_agent(risk={"maxOrderUsd": "1000", "maxDrawdownPct": 7}))
    assert agent["spec"]["api"]["keySecretRef"]["name"] == "purpleflea-api-key"
    assert agent["spec"]["risk"] == {"maxOrderUsd": "1000", "maxDrawdownPct": 7}
    control = {"kind": "ConfigMap", "metadata": {}, "data": {"control.json": '{"mode":"Halted"}'}}
    assert redacted_object(control) == control


def test_the_archive_has_no_canary_and_names_what_is_missing(tmp_path, monkeypatch):
    listing = tmp_path / "list.json"
    listing.write_text(json.dumps({"items": OBJECTS}), encoding="utf-8")
    log = tmp_path / "log.txt"
    log.write_text("\n".join(LINES), encoding="utf-8")
    program = tmp_path / "kubectl"
    program.write_text(
        f"""#!/bin/sh
case "$*" in
  *nodes*) echo 'Error from server (Forbidden): token={CANARY}' >&2; exit 1;;
  *" logs "*) cat {log};;
  *version*) echo 'serverVersion: {{gitVersion: v1.37.1}}';;
  *) cat {listing};;
esac
""",
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PURPLEFLEA_KUBECTL", str(program))
    target = tmp_path / "bundle.tar.gz"
    done = CliRunner().invoke(cli, ["bundle", "--file", str(target), "-n", "trading"])
    assert done.exit_code == 3, done.output
    assert "not included: nodes: Error from server (Forbidden)" in done.output
    with tarfile.open(target) as archive:
        parts = {item.name: archive.extractfile(item).read().decode() for item in archive}
    assert "purpleflea-bundle/logs/trading/momentum-0.log" in parts
    assert "purpleflea-bundle/objects/purplefleaagents.purpleflea.com.json" in parts
    for name, content in [*parts.items(), ("output", done.output)]:
        assert not any(item in content for item in (CANARY, *AMOUNTS)), name
    assert target.stat().st_mode & 0o777 == 0o600
    assert CliRunner().invoke(cli, ["bundle", "--file", str(target)]).exit_code == 1
    assert [item.name for item in tmp_path.glob("bundle*")] == ["bundle.tar.gz"]


@pytest.mark.parametrize(
    ("site", "host"),
    [
        ("", "app.datadoghq.com"),
        ("datadoghq.eu", "app.datadoghq.eu"),
        ("us5.datadoghq.com", "us5.datadoghq.com"),
        ("ddog-gov.com", "app.ddog-gov.com"),
    ],
)
def test_links_lead_to_the_site_with_quoted_tags(site, host):
    agent = an_agent(datadog={"env": "pro duction", "service": "a&b"})
    found = links(agent, site, "momentum-0")
    assert all(address.startswith(f"https://{host}/") for address in found.values())
    assert "env%3Apro%20duction%20service%3Aa%26b%20agent_id%3Amomentum-0" in found["logs"]
    assert not any(re.search(r"\s", address) for address in found.values())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "kubectl"])
def test_a_completion_script_is_printed_for_each_shell(shell):
    done = CliRunner().invoke(cli, ["completion", shell])
    assert done.exit_code == 0, done.output
    assert "_KUBECTL_PURPLEFLEA_COMPLETE" in done.output


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_the_flags_of_kubectl(name):
    done = CliRunner().invoke(cli, [name, "--help"])
    assert done.exit_code == 0, done.output
    if name not in ("import", "cost", "completion"):
        assert "--kubeconfig" in done.output
        assert "--as-group" in done.output


PLUGIN_FIELDS = {
    "shortCut": str,
    "override": bool,
    "description": str,
    "confirm": bool,
    "dangerous": bool,
    "scopes": list,
    "command": str,
    "background": bool,
    "overwriteOutput": bool,
    "args": list,
}
"""The fields of a plugin of k9s, as its schema plugins.json has them. The value of a variable such as $NAME is put into
the text before a shell reads it, so only names that Kubernetes restricts may be used."""
NAMES = {"$NAME", "$NAMESPACE", "$CONTEXT"}


def test_the_k9s_files_have_the_fields_that_k9s_reads(repository):
    folder = repository / "examples" / "k9s"
    content = yaml.safe_load((folder / "plugins.yaml").read_text())
    assert content.keys() == {"plugins"}
    for item in content["plugins"].values():
        assert all(isinstance(value, PLUGIN_FIELDS[key]) for key, value in item.items())
        assert item.keys() >= {"shortCut", "description", "scopes", "command"}
        assert all(isinstance(value, str) for value in (*item["scopes"], *item["args"]))
        assert re.fullmatch("Shift-[A-Z]", item["shortCut"])
        assert set(re.findall(r"[$]\w+", " ".join(item["args"]))) <= NAMES
    shortcuts = [(item["shortCut"], *item["scopes"]) for item in content["plugins"].values()]
    assert len(set(shortcuts)) == len(shortcuts)
    content = yaml.safe_load((folder / "views.yaml").read_text())
    assert content.keys() == {"views"}
    for view in content["views"].values():
        assert view.keys() == {"columns", "sortColumn"}
        column, direction = view["sortColumn"].split(":")
        assert (column in view["columns"], direction in ("asc", "desc")) == (True, True)


def test_the_k9s_files_use_commands_that_exist(repository):
    folder = repository / "examples" / "k9s"
    plugins = yaml.safe_load((folder / "plugins.yaml").read_text())["plugins"]
    for item in plugins.values():
        (command,) = re.findall(r"kubectl purpleflea (\w+)", " ".join(item["args"]))
        assert command in COMMANDS
    views = yaml.safe_load((folder / "views.yaml").read_text())["views"]
    for view, content in views.items():
        crd = yaml.safe_load(
            (repository / "crds" / f"purpleflea.com_{view.split('/')[-1]}.yaml").read_text()
        )
        columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
        known = {item["name"].upper() for item in columns} | {"NAME", "AGE"}
        assert set(content["columns"]) <= known
