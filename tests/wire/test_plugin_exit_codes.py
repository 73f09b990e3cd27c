"""Exit code and first line of each command of `kubectl purpleflea`, by fault. An unmade check is never fine."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.apiserver.kinds import Kind
from support.builders import a_halt, an_agent
from support.plugin import kubectl  # noqa: F401 - a fixture

NS, NAME, SYSTEM = "trading", "momentum", "purpleflea-system"
pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("kubectl")]
PROGRAM = Path(sys.executable).parent / "kubectl-purpleflea"
AGENT = f"apiVersion: purpleflea.com/v1alpha1\nkind: PurpleFleaAgent\nmetadata: {{name: {NAME}}}\n"
COMMANDS = {
    "status": ("status",),
    "status NAME": ("status", NAME, "--no-live"),
    "why": ("why", NAME),
    "doctor": ("doctor",),
    "open": ("open", NAME),
    "bundle": ("bundle", "--file=bundle.tar.gz"),
    "halt": ("halt", NAME, "--reason=test", "--timeout=1"),
    "stop": ("stop", NAME, "--reason=test", "--timeout=1"),
    "resume": ("resume", "incident", "--timeout=0"),
    "render": ("render", "-f", "agent.yaml"),
}
KINDS = (
    Kind(group="apps", plural="deployments", kind="Deployment", status=True),
    Kind(group="storage.k8s.io", plural="storageclasses", kind="StorageClass", namespaced=False),
    Kind(
        group="authentication.k8s.io",
        plural="selfsubjectreviews",
        kind="SelfSubjectReview",
        namespaced=False,
        is_review=True,
    ),
    Kind(
        group="authorization.k8s.io",
        plural="selfsubjectrulesreviews",
        kind="SelfSubjectRulesReview",
        namespaced=False,
        is_review=True,
    ),
    Kind(
        group="admissionregistration.k8s.io",
        plural="mutatingwebhookconfigurations",
        kind="MutatingWebhookConfiguration",
        namespaced=False,
    ),
    Kind(
        group="admissionregistration.k8s.io",
        plural="validatingwebhookconfigurations",
        kind="ValidatingWebhookConfiguration",
        namespaced=False,
    ),
)
ALL_RIGHTS = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]


def an_object(api_version, kind, name, namespace="", **fields):
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    metadata |= fields.pop("metadata", {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


@pytest.fixture
def cluster(server_without_pods, tmp_path, monkeypatch):
    """An installation without problems, with an agent and a halt."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agent.yaml").write_text(AGENT, encoding="utf-8")
    server = server_without_pods
    for kind in KINDS:
        server.register(kind)
    server.add_webhook(
        "SelfSubjectRulesReview", lambda item: {**item, "status": {"resourceRules": ALL_RIGHTS}}
    )
    for namespace in (NS, SYSTEM):
        server.put(an_object("v1", "Namespace", namespace))
    for plural in ("purplefleaagents", "purplefleahalts", "purplefleaobservabilities"):
        spec = {"versions": [{"name": "v1alpha1", "served": True}]}
        group = "apiextensions.k8s.io/v1"
        name = f"{plural}.purpleflea.com"
        server.put(an_object(group, "CustomResourceDefinition", name, spec=spec))
    install_operator(server)
    conditions = [{"type": "Ready", "status": "True", "reason": "Ready", "observedGeneration": 1}]
    server.put({**an_agent(), "status": {"conditions": conditions}})
    key = an_object("v1", "Secret", "purpleflea-api-key", NS, data={"api-key": "eA=="})
    server.put(key)
    server.put(a_halt())
    return server


def install_operator(server):
    labels = {"app.kubernetes.io/name": "purpleflea-operator"}
    name = "purpleflea-operator"
    server.put(
        an_object(
            *("apps/v1", "Deployment", name, SYSTEM),
            metadata={"labels": labels},
            spec={"replicas": 1},
            status={"readyReplicas": 1},
        )
    )
    # A test machine can be slow, and the Lease is not renewed.
    spec = {
        "holderIdentity": "operator-0_1",
        "leaseDurationSeconds": 3600,
        "renewTime": datetime.now(UTC).isoformat(),
    }
    server.put(an_object("coordination.k8s.io/v1", "Lease", name, SYSTEM, spec=spec))


def refuse(status):
    def plan(server):
        for verb in ("get", "list", "watch", "create", "patch", "update", "delete"):
            server.fail_next(status=status, times=None, verb=verb)

    return plan


def remove_crds(server):
    for kind in ("PurpleFleaAgent", "PurpleFleaHalt", "PurpleFleaObservability"):
        server.unregister(kind)
    for item in server.objects("CustomResourceDefinition"):
        server.delete("CustomResourceDefinition", "", item["metadata"]["name"])


def remove_operator(server):
    server.delete("Deployment", SYSTEM, "purpleflea-operator")
    server.delete("Lease", SYSTEM, "purpleflea-operator")


def remove_names(server):
    server.delete("PurpleFleaAgent", NS, NAME)
    server.delete("PurpleFleaHalt", NS, "incident")


FAULTS = {
    "403": (refuse(403), ()),
    "401": (refuse(401), ()),
    "no CRD": (remove_crds, ()),
    "no operator": (remove_operator, ()),
    "API server down": (None, ("--server=http://127.0.0.1:1",)),
    "wrong context": (None, ("--context=nope",)),
    "no such name": (remove_names, ()),
    "no such namespace": (None, ("--namespace=nope",)),
}
FORBIDDEN, LOGIN = "see the rights that are missing: kubectl purpleflea doctor", "sign in again"
NO_CRD = "install the chart of the operator"
DOWN, CONTEXT = "kubectl cluster-info", "kubectl config get-contexts"
NO_NAME = f"PurpleFleaAgent {NAME} does not exist in namespace {NS}; list all: kubectl get pfa -A"
NO_SPACE = "namespace nope does not exist; list all: kubectl get namespaces"
READERS = ("status", "status NAME", "why", "open", "bundle", "resume")
HALTS = ("halt", "stop")
EXPECTED = {
    "403": {
        **dict.fromkeys(READERS, (1, FORBIDDEN)),
        **dict.fromkeys(HALTS, (1, "NOTHING WAS HALTED: Error from server (Forbidden)")),
        "render": (2, FORBIDDEN),
        "doctor": (3, "? unknown CRDs: the CRDs cannot be read, so this is not checked"),
    },
    "401": {
        **dict.fromkeys((*READERS, "doctor"), (1, LOGIN)),
        **dict.fromkeys(HALTS, (1, "NOTHING WAS HALTED: You must be logged in")),
        "render": (2, LOGIN),
    },
    "no CRD": {
        **dict.fromkeys(READERS, (1, NO_CRD)),
        **dict.fromkeys(HALTS, (1, "NOTHING WAS HALTED: resource mapping not found")),
        "render": (2, NO_CRD),
        "doctor": (20, "✗ error   CRDs: the CRD of purplefleaagents is not installed"),
        "bundle": (3, "not included: purplefleaagents.purpleflea.com"),
    },
    "no operator": {
        **dict.fromkeys(("status", "status NAME"), (0, "1 agent, 0/1 identities ready")),
        "why": (3, f"{NS}/{NAME} has no known problem"),
        "doctor": (20, "✗ error   operator: the operator is not installed"),
        "open": (0, "traces    https://"),
        "bundle": (0, "bundle.tar.gz: read it before you send it"),
        **dict.fromkeys(HALTS, (0, "PurpleFleaHalt trading/")),
        "resume": (0, "PurpleFleaHalt trading/incident is deleted"),
        "render": (2, "no operator watches namespace trading"),
    },
    "API server down": {
        **dict.fromkeys((*READERS, "doctor"), (1, DOWN)),
        **dict.fromkeys(HALTS, (1, "NOTHING WAS HALTED: unable to recognize")),
        "render": (2, DOWN),
    },
    "wrong context": {
        **dict.fromkeys((*READERS, "doctor"), (1, CONTEXT)),
        **dict.fromkeys(HALTS, (1, "NOTHING WAS HALTED: context")),
        "render": (2, CONTEXT),
    },
    "no such name": {
        "status": (0, "0 agents; other namespaces: kubectl purpleflea status -A"),
        "status NAME": (1, f"PurpleFleaAgent {NAME} does not exist; list all"),
        **dict.fromkeys(("why", "open"), (1, NO_NAME)),
        "doctor": (0, "✓ ok      CRDs: 3 CRDs are installed"),
        "bundle": (0, "bundle.tar.gz: read it before you send it"),
        **dict.fromkeys(HALTS, (3, "PurpleFleaHalt trading/")),
        "resume": (1, "NOTHING WAS CHANGED: PurpleFleaHalt incident does not exist"),
        "render": (2, "no connection to pod operator-0 in namespace purpleflea-system"),
    },
    "no such namespace": {
        **dict.fromkeys(("status", "status NAME", "why", "open", "bundle"), (1, NO_SPACE)),
        "doctor": (20, "✗ error   namespace: namespace nope does not exist"),
        "resume": (1, "NOTHING WAS CHANGED: "),
        **dict.fromkeys(HALTS, (1, "NOTHING WAS HALTED: Error from server (NotFound)")),
        "render": (
            2,
            'Error from server (NotFound): error when creating "STDIN": namespaces "nope"',
        ),
    },
}


def run(server, *arguments):
    flags = ("--server", server.url, f"--namespace={NS}")
    command, *others = arguments
    return subprocess.run(
        [PROGRAM, command, *flags, *others], capture_output=True, text=True, check=False
    )


def first_line(done):
    return (done.stderr or done.stdout).splitlines()[0]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_the_exit_code_and_the_first_line_name_the_fault(cluster, command, fault):
    plan, flags = FAULTS[fault]
    if plan is not None:
        plan(cluster)
    if fault == "no such namespace":
        # The fake API server creates objects in every namespace.
        message = 'namespaces "nope" not found'
        cluster.fail_next(status=404, message=message, times=None, verb="create", namespace="nope")
    done = run(cluster, *COMMANDS[command], *flags)
    code, text = EXPECTED[fault][command]
    assert done.returncode == code, done
    assert text in first_line(done), done
    assert "Traceback" not in done.stderr
    assert "error: error:" not in done.stderr


def test_without_a_fault_each_check_is_made(cluster):
    done = run(cluster, "doctor")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "0 errors, 0 warnings"
    assert run(cluster, "why", NAME).returncode == 0


READ_BY_DOCTOR = {
    "customresourcedefinitions": "CRDs",
    "deployments": "operator",
    "selfsubjectrulesreviews": "rights",
    "secrets": "keys",
    "selfsubjectreviews": "clocks",
    "leases": "operator",
    "mutatingwebhookconfigurations": "admission webhooks",
    "pods": "images",
    "purplefleaagents": "agents",
}


@pytest.mark.parametrize("resource", READ_BY_DOCTOR)
def test_a_check_that_cannot_be_made_is_unknown(cluster, resource):
    cluster.fail_next(status=403, times=None, resource=resource)
    done = run(cluster, "doctor")
    assert done.returncode == 3, done.stdout
    assert f"? unknown {READ_BY_DOCTOR[resource]}:" in done.stdout


@pytest.mark.parametrize("resource", ["pods", "events", "nodes", "leases", "deployments"])
def test_a_story_without_all_its_objects_does_not_say_that_the_agent_works(cluster, resource):
    cluster.fail_next(status=403, times=None, resource=resource)
    done = run(cluster, "why", NAME)
    assert (done.returncode, "not read: " in done.stdout) == (3, True), done


@pytest.mark.parametrize("resource", ["pods", "statefulsets"])
def test_a_status_names_what_it_does_not_show(cluster, resource):
    cluster.fail_next(status=403, times=None, resource=resource)
    done = run(cluster, "status")
    assert (done.returncode, f"not read: {resource};" in done.stdout) == (3, True), done


def test_links_to_an_unknown_site_are_not_fine(cluster):
    cluster.fail_next(status=403, times=None, resource="purplefleaobservabilities")
    done = run(cluster, "open", NAME)
    assert (done.returncode, "choose another with --site" in done.stderr) == (3, True)


def test_a_context_that_does_not_answer_hides_no_other(cluster, tmp_path):
    config = tmp_path / "config"
    places = {"eu": cluster.url, "us": "http://127.0.0.1:1"}
    config.write_text(
        "apiVersion: v1\nkind: Config\nusers: []\n"
        + "clusters:\n"
        + "".join(f"- {{name: {k}, cluster: {{server: '{v}'}}}}\n" for k, v in places.items())
        + "contexts:\n"
        + "".join(f"- {{name: {k}, context: {{cluster: {k}}}}}\n" for k in places),
        encoding="utf-8",
    )
    flags = (f"--kubeconfig={config}", f"--namespace={NS}")
    done = subprocess.run(
        [PROGRAM, "status", "--contexts=us,eu", *flags], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "us: the agents cannot be read: The connection to the server" in done.stdout
    assert "eu: 1 agent, 0/1 identities ready" in done.stdout


def test_a_resume_without_config_maps_is_proven_only_if_an_operator_leads(cluster):
    cluster.fail_next(status=403, times=None, resource="configmaps")
    assert run(cluster, *COMMANDS["resume"]).returncode == 0
    cluster.put(a_halt())
    remove_operator(cluster)
    done = run(cluster, *COMMANDS["resume"])
    assert (done.returncode, "you may not list ConfigMaps" in done.stdout) == (3, True), done
