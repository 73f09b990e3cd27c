import json
import re
from pathlib import Path

import hcl2
import pytest

from purpleflea_contract.tags import stored_value
from purpleflea_operator.api.objective import Objective
from purpleflea_operator.api.observability import Features, Notifications, ObservabilitySpec
from purpleflea_operator.api.thresholds import MonitorThresholds, Thresholds
from purpleflea_operator.datadog.definitions import catalog
from purpleflea_operator.datadog.definitions.objects import ObjectKind
from purpleflea_operator.datadog.definitions.parameters import Parameters, notifications
from purpleflea_operator.datadog.definitions.terraform import module
from purpleflea_operator.datadog.definitions.terraform.resources import address
from purpleflea_operator.datadog.definitions.terraform.variable_checks import HANDLE, TAG_VALUE

SCHEMA = json.loads((Path(__file__).parents[4] / "data" / "terraform-schema.json").read_text())
META = {"count", "for_each", "lifecycle"}
FILES = {name: text for name, text in module.files(Parameters()).items() if name.endswith(".tf")}
DEFINITIONS = {
    address(item): item
    for item in catalog.everything(Parameters())
    if item.kind is ObjectKind.MONITOR
}


def parsed(name):
    return plain(hcl2.loads(FILES[name]))


def plain(value):
    """Remove the quotes around texts and the internal keys that the parser keeps."""
    match value:
        case dict():
            return {
                str(plain(key)): plain(item)
                for key, item in value.items()
                if not str(key).startswith("__")
            }
        case list():
            return [plain(item) for item in value]
        case str() if value.startswith('"') and value.endswith('"'):
            return value[1:-1]
        case _:
            return value


def resources():
    for name in FILES:
        for group in parsed(name).get("resource", []):
            for kind, named in group.items():
                for label, body in named.items():
                    yield kind, label, body


def unknown(body, block, path):
    attributes, nested = block.get("attributes", {}), block.get("block_types", {})
    for name, value in body.items():
        if name in nested:
            for item in value if isinstance(value, list) else [value]:
                yield from unknown(item, nested[name]["block"], f"{path}.{name}")
        elif name not in attributes:
            yield f"{path}.{name} is unknown"
        elif attributes[name].get("deprecated"):
            yield f"{path}.{name} is deprecated"
        elif not (attributes[name].get("optional") or attributes[name].get("required")):
            yield f"{path}.{name} cannot be set"
    for name, attribute in attributes.items():
        if attribute.get("required") and name not in body:
            yield f"{path}.{name} is required"
    for name, inner in nested.items():
        given = body.get(name, [])
        times = len(given) if isinstance(given, list) else 1
        if not inner.get("min_items", 0) <= times <= inner.get("max_items", 99):
            yield f"{path}.{name} is present {times} times"


def test_the_provider_has_every_block_and_argument():
    seen = set()
    for kind, label, body in resources():
        own = {name: value for name, value in body.items() if name not in META}
        assert list(unknown(own, SCHEMA[kind], f"{kind}.{label}")) == []
        seen.add(kind)
    assert seen == set(SCHEMA)


def test_the_comparison_detects_a_wrong_argument():
    block = SCHEMA["datadog_monitor"]
    body = {"name": "n", "type": "t", "query": "q", "message": "m", "thresholds": {"critical": 1}}
    assert list(unknown(body, block, "m")) == ["m.thresholds is unknown"]
    body = {"name": "n", "type": "t", "query": "q", "monitor_thresholds": [{}, {}]}
    assert set(unknown(body, block, "m")) == {
        "m.message is required",
        "m.monitor_thresholds is present 2 times",
    }


def test_every_definition_except_the_notebook_is_a_resource():
    addresses = {f"{kind}.{label}" for kind, label, _ in resources()}
    for item in catalog.everything(Parameters()):
        if item.kind in (ObjectKind.METRIC_TAGS, ObjectKind.NOTEBOOK):
            continue
        assert address(item).removesuffix("[0]") in addresses
    assert "datadog_metric_tag_configuration.agents" in addresses


def defaults():
    """Return the default of each variable and attribute by its path."""
    values = {}
    for group in parsed("variables.tf")["variable"]:
        for name, body in group.items():
            values[f"var.{name}"] = body.get("default")
            options = re.findall(r"(\w+)\s*[=:]\s*optional\((\w+), ([^()]*)\)", str(body["type"]))
            for attribute, kind, value in options:
                plain_value = value.strip('"')
                values[f"var.{name}.{attribute}"] = (
                    float(value) if kind == "number" else plain_value
                )
    return values


def with_defaults(text, values):
    """Return a text of the module with the default of each variable."""

    def value(path):
        default = values[path]
        return f"{default:g}" if isinstance(default, float) else str(default)

    return re.sub(r"\${(var[a-z_.]+)}", lambda match: value(match[1]), text)


def test_queries_and_thresholds_equal_those_of_the_json_files():
    values = defaults()
    bodies = {
        f"datadog_monitor.{label}": body
        for kind, label, body in resources()
        if kind == "datadog_monitor"
    }
    for place, definition in DEFINITIONS.items():
        body = bodies[place.removesuffix("[0]")]
        if not definition.references:
            text = with_defaults(body["query"].replace('\\"', '"'), values)
            assert text == definition.body["query"]
        options = definition.body["options"]
        written = body.get("monitor_thresholds", [{}])[0]
        expected = options.get("thresholds", {})
        assert set(written) == set(expected)
        for level, threshold in expected.items():
            path = re.sub(r"^\${|}$", "", str(written[level]))
            assert values.get(path, path) == pytest.approx(threshold) or float(path) == threshold
        for name in ("notify_no_data", "no_data_timeframe", "require_full_window"):
            if name in options:
                path = re.sub(r"^\${|}$", "", str(body[name]))
                assert str(values.get(path, path)).lower() in (
                    str(options[name]).lower(),
                    f"{options[name]}.0",
                )


def test_every_parameter_is_a_variable_with_the_same_default():
    values = defaults()
    parameters = Parameters()
    for name in ("env", "service", "team", "currency", "runbooks_url", "renotify_minutes"):
        assert str(values[f"var.{name}"]) == str(getattr(parameters, name))
    groups = {
        **dict(parameters.thresholds),
        "objective": parameters.objective,
        "fast_burn": parameters.objective.fast_burn,
        "slow_burn": parameters.objective.slow_burn,
        "log_index": parameters.log_index,
    }
    assert len(groups) == len(Thresholds.model_fields) + 4
    for name, group in groups.items():
        for attribute, value in group:
            if attribute not in ("fast_burn", "slow_burn"):
                assert values[f"var.{name}.{attribute}"] == value
    assert {"var.notifications", "var.features"} <= set(values)


def test_a_variable_has_the_description_of_its_field():
    described = {
        name: body["description"]
        for group in parsed("variables.tf")["variable"]
        for name, body in group.items()
    }
    assert described["env"] == ObservabilitySpec.model_fields["env"].description
    for model in (Objective, Notifications, Features):
        name = model.__name__.lower()
        assert described[name].startswith(" ".join(model.__doc__.split()))
    for name, field in Thresholds.model_fields.items():
        assert described[name] == field.annotation.__doc__
    assert all(text.endswith(".") for text in described.values())


def test_every_variable_is_used_and_every_used_variable_exists():
    values = defaults()
    named = {path.split(".")[1] for path in values}
    others = "".join(text for name, text in FILES.items() if name != "variables.tf")
    used = set(re.findall(r"var\.([a-z_]+)", others))
    assert used == named
    paths = set(re.findall(r"var\.[a-z_]+\.[a-z_]+", "".join(FILES.values())))
    lists = {"var.log_index.others"} | {
        f"var.notifications.{name}" for name in ("paging", "trading", "infrastructure", "halt")
    }
    assert paths - lists <= set(values)


def test_each_threshold_variable_has_a_check_of_its_levels():
    checked = 0
    for group in parsed("variables.tf")["variable"]:
        for name, body in group.items():
            thresholds = getattr(Parameters().thresholds, name, None)
            if isinstance(thresholds, MonitorThresholds) and "warning" in thresholds.levels():
                messages = [item["error_message"] for item in body["validation"]]
                assert "in this sequence" in messages[-1], name
                assert ("can never alert" in "".join(messages)) is (thresholds.bound() is not None)
                checked += 1
    assert checked == 8


def test_the_composite_and_the_burn_rates_refer_to_resources():
    text = FILES["monitors.tf"]
    assert "${datadog_monitor.api_error_rate.id} && ${datadog_monitor.order_latency_p95.id}" in text
    assert 'burn_rate(\\"${datadog_service_level_objective.api_success.id}\\")' in FILES["slo.tf"]


def test_templates_of_datadog_are_escaped_for_terraform():
    wallet = FILES["monitors.tf"].split('"wallet_balance"')[1].split("resource")[0]
    assert "balance is $${{value}}" in wallet
    assert not re.search(r"(?<!\$)\${{", "".join(FILES.values()))


def test_the_version_of_the_provider_is_pinned():
    assert '"~> 4.19"' in FILES["versions.tf"]


@pytest.mark.parametrize("name", sorted(FILES))
def test_equals_signs_of_adjacent_lines_are_aligned(name):
    """`terraform fmt` aligns the equals signs of adjacent attributes on one line."""
    previous = None
    in_heredoc = False
    for line in FILES[name].splitlines():
        if in_heredoc:
            in_heredoc = line.strip() != "EOT"
            continue
        attribute = re.match(r'( *)("[^"]+"|[a-z_0-9]+) *(?= = )', line)
        on_one_line = attribute and not line.rstrip().endswith(("{", "[", "({", "([", "<<-EOT"))
        current = (len(attribute[1]), attribute.end()) if on_one_line else None
        if current and previous and current[0] == previous[0]:
            assert current[1] == previous[1], line
        previous = current
        in_heredoc = "<<-EOT" in line
        assert line == line.rstrip()
        assert "\t" not in line


@pytest.mark.parametrize("name", sorted(FILES))
def test_there_are_no_lone_interpolations_and_no_blank_lines_at_the_ends_of_bodies(name):
    """`terraform fmt` rewrites these; the formatter of HCL, which runs in the sandbox tier, does not."""
    assert not re.search(r'= "\$\{[^{}"]*\}"$', FILES[name], re.MULTILINE)
    assert not re.search(r"[{\[]\n\n|\n\n *[}\]]", FILES[name])


def test_types_of_variables_are_not_quoted():
    assert not re.search(r'^ *type *= "', FILES["variables.tf"], re.MULTILINE)


def strings(value, path=""):
    match value:
        case dict():
            for name, inner in value.items():
                yield from strings(inner, f"{path}.{name}")
        case list():
            for inner in value:
                yield from strings(inner, path)
        case str():
            yield path, value


@pytest.mark.parametrize("name", sorted(FILES))
def test_each_heredoc_is_wrapped_so_that_its_text_ends_without_a_new_line(name):
    """The provider stores a trimmed text, so a plan would change a text with a new line at its end."""
    lines = FILES[name].splitlines()
    starts = [number for number, line in enumerate(lines) if "<<" in line]
    ends = [number for number, line in enumerate(lines) if line.strip() == "EOT"]
    assert len(starts) == len(ends)
    for start, end in zip(starts, ends, strict=True):
        assert lines[start].endswith(" = chomp(<<-EOT")
        assert lines[end + 1].strip() == ")"
        assert lines[start + 1].strip()
        assert lines[end - 1].strip()


def test_no_text_has_white_space_at_its_ends():
    found = [
        (path, text)
        for kind, label, body in resources()
        for path, text in strings(body, f"{kind}.{label}")
        if text != text.strip()
    ]
    assert found == []


def test_the_dashboard_has_every_field_that_the_provider_compares():
    """See `prepResource` in resource_datadog_dashboard_json.go; `is_read_only` is added there on both sides."""
    text = FILES["dashboard.tf"]
    (body,) = (body for kind, _, body in resources() if kind == "datadog_dashboard_json")
    assert set(body) == {"dashboard"}
    for line in ("notify_list = []", "tags        = []"):
        assert line in text
    computed = ("id ", "author_handle", "author_name", "created_at", "modified_at", "url ")
    assert not [name for name in computed if re.search(rf"^    {name} *=", text, re.MULTILINE)]


def test_a_first_apply_configures_no_metrics_until_they_are_enabled():
    (features,) = (
        body
        for group in parsed("variables.tf")["variable"]
        for name, body in group.items()
        if name == "features"
    )
    assert re.search(r"metrics\s*[=:]\s*optional\(bool, false\)", str(features["type"]))
    assert "only metrics that have reported" in features["description"]
    assert "features.metrics" in module.files(Parameters())["README.md"]


def test_every_attribute_of_every_variable_is_used():
    others = "".join(text for name, text in FILES.items() if name != "variables.tf")
    unused = [
        path for path in defaults() if path.count(".") == 2 and not re.search(rf"{path}\b", others)
    ]
    assert unused == []


def test_a_burn_rate_is_checked_against_the_target():
    for speed in ("fast", "slow"):
        condition = (
            f"condition     = var.{speed}_burn.rate * (100 - var.objective.target) < 99.999999"
        )
        assert condition in FILES["slo.tf"]


@pytest.mark.parametrize("value", ["production", "a_b", "prod.eu/1-x", "a1"])
def test_tag_values_that_datadog_stores_unchanged_are_accepted(value):
    assert re.search(TAG_VALUE, value)
    assert stored_value("env", value) == value


@pytest.mark.parametrize("value", ["a__b", "A", "a_", "1a", "a b", ""])
def test_tag_values_that_datadog_rewrites_are_refused(value):
    assert not re.search(TAG_VALUE, value)


def test_each_number_and_text_of_a_variable_has_a_check():
    checked = {
        name: " ".join(item["condition"] for item in body.get("validation", []))
        for group in parsed("variables.tf")["variable"]
        for name, body in group.items()
    }
    unchecked = [
        path
        for path, value in defaults().items()
        if value is not None and isinstance(value, str | float) and "features" not in path
        if not re.search(rf"{path}\b", checked[path.split(".")[1]])
    ]
    assert unchecked == []


@pytest.mark.parametrize(
    "target", ["slack:a", "slack:a/b", "pagerduty:x", "webhook:w", "workflow:h"]
)
def test_handles_of_the_operator_are_accepted_as_handles_of_terraform(target):
    pattern = HANDLE.replace("[:space:]", r"\s")
    (parsed_target,) = notifications(Notifications(paging=(target,))).paging
    assert re.search(pattern, parsed_target.handle)
