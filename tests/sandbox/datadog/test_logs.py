"""Log files to the intake: format, rotation, restarts, masking, and no lost lines."""

import dataclasses
import json
from pathlib import Path

import pytest

from purpleflea_sandbox.datadog.node_agent import autodiscovery, rules
from purpleflea_sandbox.datadog.node_agent.cri import Assembler
from purpleflea_sandbox.datadog.node_agent.pods import Container, Pod
from purpleflea_sandbox.datadog.node_agent.positions import TailPositions
from purpleflea_sandbox.datadog.node_agent.tail import ContainerTail, TailPosition


def read_all(tail: ContainerTail) -> list[str]:
    texts: list[str] = []
    while batch := tail.read():
        texts += [record.text for record in batch.records]
    return texts


def test_a_record_has_its_time_stream_and_text() -> None:
    record = Assembler().add(b"2026-11-22T10:00:00.123456789+01:00 stderr F a b  c\n", 0)

    assert record is not None
    assert (record.timestamp_ms, record.stream, record.text) == (1795338000123, "stderr", "a b  c")


def test_parts_of_both_streams_are_assembled_separately() -> None:
    assembler = Assembler()
    lines = [
        ("stdout", "P", "one "),
        ("stderr", "P", "x"),
        ("stdout", "F", "two"),
        ("stderr", "F", "y"),
    ]

    texts = [
        record.text
        for stream, flag, text in lines
        if (record := assembler.add(f"2026-11-22T10:00:00Z {stream} {flag} {text}".encode(), 0))
    ]

    assert texts == ["one two", "xy"]


@pytest.mark.parametrize("line", [b"", b"garbage", b"t stdnone F x", b"2026 stdout"])
def test_line_in_another_format_is_counted(line: bytes) -> None:
    assembler = Assembler()

    assert assembler.add(line, 0) is None
    assert assembler.malformed == 1


def test_lines_are_read_once_and_incomplete_lines_later(log_folder) -> None:
    tail = ContainerTail(log_folder.path)
    log_folder.write("one", "two")
    assert read_all(tail) == ["one", "two"]

    with (log_folder.path / "0.log").open("a") as log:
        log.write("2026-11-22T10:00:00Z stdout F thr")
        log.flush()
        assert read_all(tail) == []
        log.write("ee\n")
    assert read_all(tail) == ["three"]
    tail.close()


def test_rotation_neither_loses_nor_repeats_lines(log_folder) -> None:
    tail = ContainerTail(log_folder.path)
    log_folder.write("one")
    assert read_all(tail) == ["one"]

    log_folder.write("two")
    log_folder.rotate()
    log_folder.write("three")
    log_folder.rotate()
    log_folder.write("four")

    assert read_all(tail) == ["two", "three", "four"]
    log_folder.write("five")
    assert read_all(tail) == ["five"]
    tail.close()


def test_restarted_container_continues_in_the_next_file(log_folder) -> None:
    tail = ContainerTail(log_folder.path)
    log_folder.write("first life")
    assert read_all(tail) == ["first life"]

    log_folder.write("last words")
    log_folder.write("second life", file="1.log")
    log_folder.write("tenth life", file="10.log")

    assert read_all(tail) == ["last words", "second life", "tenth life"]
    tail.close()


def test_a_truncated_file_is_read_from_its_beginning(log_folder) -> None:
    tail = ContainerTail(log_folder.path)
    log_folder.write("a long first line", "another one")
    read_all(tail)

    (log_folder.path / "0.log").write_text("")
    assert read_all(tail) == []
    log_folder.write("new")

    assert read_all(tail) == ["new"]
    tail.close()


def test_new_node_agent_continues_at_the_delivered_position(log_folder) -> None:
    first = ContainerTail(log_folder.path)
    log_folder.write("one")
    batch = first.read()
    first.close()
    assert batch is not None

    log_folder.write("two")
    rotated = log_folder.rotate()
    log_folder.write("three")
    second = ContainerTail(log_folder.path, batch.position)
    assert read_all(second) == ["two", "three"]
    second.close()

    rotated.rename(rotated.with_suffix(".gz"))
    third = ContainerTail(log_folder.path, batch.position)
    assert read_all(third) == ["three"]
    third.close()


def test_saved_position_is_before_an_incomplete_message(log_folder) -> None:
    tail = ContainerTail(log_folder.path)
    log_folder.write("half ", flag="P")
    log_folder.write("other", stream="stderr")
    batch = tail.read()
    tail.close()
    assert batch is not None

    log_folder.write("whole")
    again = ContainerTail(log_folder.path, batch.position)

    assert "half whole" in read_all(again)
    again.close()


def test_deleted_files_end_without_an_error(log_folder) -> None:
    tail = ContainerTail(log_folder.path)
    log_folder.write("one", "two")
    assert len(read_all(tail)) == 2
    log_folder.write("last")
    (log_folder.path / "0.log").unlink()

    assert read_all(tail) == ["last"]
    assert tail.read() is None
    assert ContainerTail(log_folder.path / "nowhere").read() is None


def test_positions_survive_a_restart_and_a_broken_file_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "run" / "registry.json"
    positions = TailPositions(path)
    positions.keep("a", TailPosition(inode=1, offset=2))
    positions.keep("b", TailPosition(inode=3, offset=4))
    positions.retain_only(["a"])
    positions.save()

    assert TailPositions(path).get("a") == TailPosition(inode=1, offset=2)
    assert TailPositions(path).get("b") is None
    path.write_text("[1, 2")
    assert TailPositions(path).get("a") is None


def test_masking_keeps_groups_that_the_placeholder_references() -> None:
    mask = {
        "type": "mask_sequences",
        "name": "m",
        "pattern": r"(key=)(?P<rest>\w+)",
        "replace_placeholder": r"$1[\gone] ${rest}",
    }

    assert (
        rules.applied(rules.compiled([mask]), "key=abc key=d") == r"key=[\gone] abc key=[\gone] d"
    )


def test_lines_are_excluded_and_included_by_pattern() -> None:
    compiled = rules.compiled(
        [
            {"type": "exclude_at_match", "name": "x", "pattern": "healthz"},
            {"type": "include_at_match", "name": "i", "pattern": "order|trade"},
        ]
    )

    lines = ["GET /healthz order", "an order", "nothing"]
    assert [rules.applied(compiled, line) for line in lines] == [None, "an order", None]


@pytest.mark.parametrize(
    "wrong",
    [
        "text",
        ["text"],
        [{"type": "mask_sequences", "name": "m"}],
        [{"type": "mask_sequences", "pattern": "("}],
        [{"type": "multi_line", "pattern": "x"}],
    ],
)
def test_error_names_the_invalid_rule(wrong: object) -> None:
    with pytest.raises(rules.RuleError):
        rules.compiled(wrong)


def test_logs_are_collected_only_if_the_annotation_requests_it(momentum_pod: Pod) -> None:
    pod = dataclasses.replace(
        momentum_pod,
        containers=(*momentum_pod.containers, Container(name="sidecar", image="x/y:1")),
    )

    opted, _ = autodiscovery.log_sources(pod, collect_all=False)
    everything, _ = autodiscovery.log_sources(pod, collect_all=True)

    assert [(one.source, one.service) for one in opted] == [("python", "pf-agent")]
    assert [(one.source, one.service) for one in everything][1:] == [("y", "pf-agent")]
    assert "pod_name:momentum-0" in opted[0].tags


@pytest.mark.parametrize("text", ["{", "[]", "{}", '[{"log_processing_rules": [{}]}]'])
def test_invalid_annotation_is_reported_with_its_pod(momentum_pod: Pod, text: str) -> None:
    pod = dataclasses.replace(momentum_pod, annotations={"ad.datadoghq.com/agent.logs": text})

    sources, problems = autodiscovery.log_sources(pod, collect_all=True)

    assert sources == ()
    assert "ad.datadoghq.com/agent.logs of pod trading/momentum-0" in problems[0]


async def test_lines_of_a_pod_reach_the_intake_masked_tagged_and_parsed(
    start_agent, intake, log_folder, eventually
) -> None:
    line = {
        "timestamp": "2026-11-22T09:59:59.500Z",
        "level": "ERROR",
        "message": "Order failed",
        "dd.trace_id": "6" * 32,
        "error.kind": "timeout",
        "note": "pf_live_abc123",
    }
    log_folder.write(json.dumps(line))

    async with start_agent(logs_enabled=True):
        (log,) = await eventually(lambda: intake.store.logs.find(tags=["agent_id:momentum-0"]))

    assert (log.message, log.status, log.service, log.host) == (
        "Order failed",
        "error",
        "pf-agent",
        "node-1",
    )
    assert log.timestamp == 1795341599500
    assert log.attributes["note"] == "[key]"
    assert {"env:prod", "version:1.4.2", "source:python", "pod_name:momentum-0"} <= set(log.tags)
    assert intake.store.logs.find(attributes=["dd.trace_id:" + "6" * 32]) == [log]


async def test_a_second_node_agent_sends_no_line_twice(
    start_agent, intake, log_folder, eventually
) -> None:
    log_folder.write("one")
    async with start_agent(logs_enabled=True):
        await eventually(lambda: len(intake.store.logs) == 1)
    log_folder.write("two")

    async with start_agent(logs_enabled=True):
        await eventually(lambda: len(intake.store.logs) == 2)

    assert [log.message for log in intake.store.logs.find()] == ["two", "one"]
