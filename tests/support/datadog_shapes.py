"""Generate the stand-in's shapes.json from the models of Datadog's API client: `python -m support.datadog_shapes
FILE`.

It contains names, types, required fields and enum values only. The client is a development tool and is not part of
any image.
"""

import inspect
import json
import sys
from pathlib import Path
from typing import Any

from datadog_api_client.model_utils import ModelComposed, ModelSimple, OpenApiModel, none_type
from datadog_api_client.v1 import models as v1
from datadog_api_client.v2 import models as v2

ROOTS = (
    v1.Dashboard,
    v1.EventCreateRequest,
    v1.LogsIndex,
    v1.LogsIndexUpdateRequest,
    v1.LogsIndexesOrder,
    v1.LogsPipeline,
    v1.LogsPipelinesOrder,
    v1.MetricMetadata,
    v1.Monitor,
    v1.MonitorUpdateRequest,
    v1.NotebookCreateRequest,
    v1.NotebookUpdateRequest,
    v1.ServiceLevelObjective,
    v1.ServiceLevelObjectiveRequest,
    v2.DORADeploymentRequest,
    v2.DORAListDeploymentsRequest,
    v2.DowntimeCreateRequest,
    v2.DowntimeUpdateRequest,
    v2.EventCreateRequestPayload,
    v2.MetricTagConfigurationCreateRequest,
    v2.MetricTagConfigurationUpdateRequest,
    v2.SensitiveDataScannerConfigRequest,
    v2.SensitiveDataScannerGroupCreateRequest,
    v2.SensitiveDataScannerGroupDeleteRequest,
    v2.SensitiveDataScannerGroupUpdateRequest,
    v2.SensitiveDataScannerRuleCreateRequest,
    v2.SensitiveDataScannerRuleDeleteRequest,
    v2.SensitiveDataScannerRuleUpdateRequest,
)


class Collector:
    """Shapes of models and of all models that they reference."""

    def __init__(self) -> None:
        self.shapes: dict[str, Any] = {}

    def add(self, model: type[OpenApiModel]) -> str:
        """Add a model and return its name."""
        name = f"{model.__module__.split('.')[1]}.{model.__name__}"
        if name not in self.shapes:
            self.shapes[name] = None
            self.shapes[name] = self._shape(model)
        return name

    def _shape(self, model: type[OpenApiModel]) -> dict[str, Any]:
        if issubclass(model, ModelComposed):
            return {"one": [self._reference(one) for one in model._composed_schemas["oneOf"]]}
        if issubclass(model, ModelSimple):
            allowed = model.allowed_values
            if allowed:
                return {"enum": sorted(allowed)}
            return {"value": self._reference(model.openapi_types["value"])}
        shape: dict[str, Any] = {
            "fields": {
                model.attribute_map[key]: self._reference(types)
                for key, types in model.openapi_types.items()
            },
        }
        if required := _required(model):
            shape["required"] = required
        if model._nullable:
            shape["nullable"] = True
        return shape

    def _reference(self, kind: Any) -> Any:
        match kind:
            case list():
                return ["list", self._reference(kind[0])]
            case tuple():
                inner = [self._reference(one) for one in kind]
                return inner[0] if len(inner) == 1 else ["any", *inner]
            case dict():
                return ["map", self._reference(next(iter(kind.values())))] if kind else "dict"
            case _ if kind is none_type:
                return "null"
            case _ if issubclass(kind, OpenApiModel):
                return self.add(kind)
            case _:
                return kind.__name__


def _required(model: type[OpenApiModel]) -> list[str]:
    parameters = inspect.signature(model.__init__).parameters.values()
    return [
        model.attribute_map[one.name]
        for one in parameters
        if one.default is inspect.Parameter.empty and one.name in model.attribute_map
    ]


def document() -> str:
    """Return shapes.json, with one model per line."""
    collector = Collector()
    for root in ROOTS:
        collector.add(root)
    lines = (
        f"{json.dumps(name)}: {json.dumps(shape, separators=(',', ':'), sort_keys=True)}"
        for name, shape in sorted(collector.shapes.items())
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document())
