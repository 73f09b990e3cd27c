import json
import os

import pytest
from benchmarks import process
from benchmarks.scale.measuring import Recording, requests_since, reset_peak

USER = "system:serviceaccount:purpleflea-system:purpleflea-operator"


def entry(verb, resource="", *, user=USER, stage="ResponseComplete", subresource=""):
    target = {"resource": resource, "subresource": subresource} if resource else None
    found = {"verb": verb, "stage": stage, "user": {"username": user}, "objectRef": target}
    return json.dumps({key: value for key, value in found.items() if value})


def log(tmp_path, *lines, end="\n"):
    file = tmp_path / "audit.jsonl"
    file.write_text("\n".join(lines) + end)
    return file


def test_requests_of_one_user_are_counted_by_verb_and_resource(tmp_path):
    file = log(
        tmp_path,
        entry("patch", "purplefleaagents", subresource="status"),
        entry("patch", "purplefleaagents", subresource="status"),
        entry("get"),
        entry("patch", "statefulsets", user="system:serviceaccount:kube-system:other"),
        entry("patch", "statefulsets", user=f"{USER}-2"),
    )
    assert requests_since(file, 0, USER) == {"patch purplefleaagents/status": 2, "get -": 1}


def test_a_watch_is_counted_when_it_starts(tmp_path):
    file = log(
        tmp_path,
        entry("watch", "pods", stage="ResponseStarted"),
        entry("watch", "pods"),
        entry("list", "pods", stage="ResponseStarted"),
        entry("list", "pods"),
    )
    assert requests_since(file, 0, USER) == {"watch pods": 1, "list pods": 1}


def test_requests_before_the_phase_and_an_incomplete_line_do_not_count(tmp_path):
    file = log(tmp_path, entry("get", "pods"))
    point = file.stat().st_size
    with file.open("a") as stream:
        stream.write(entry("get", "nodes") + "\n" + entry("get", "pods"))
    assert requests_since(file, point, USER) == {"get nodes": 1}


def test_the_peak_of_a_process_can_be_reset():
    reset_peak(os.getpid())


def test_the_wait_of_a_process_for_a_processor_is_read_from_the_kernel():
    before = process.waited_s(os.getpid())
    assert process.waited_s(os.getpid()) >= before >= 0.0


def test_a_phase_has_no_results_before_its_end():
    with pytest.raises(RuntimeError, match="has not ended"):
        _ = Recording("create").phase
