"""Parameters of the Datadog objects: tags, thresholds, notification targets, features.

Names, types and defaults come from the spec of PurpleFleaObservability (`api.observability` and `api.thresholds`), so
the resource, the Terraform module and the JSON files have the same defaults. This module adds only the values that
the resource does not have, and defines no default of its fields again.
"""

from dataclasses import dataclass
from enum import StrEnum

from purpleflea_operator.api import observability as api
from purpleflea_operator.api.objective import Objective
from purpleflea_operator.api.observability import LogIndex, ObservabilitySpec
from purpleflea_operator.api.thresholds import Thresholds
from purpleflea_operator.datadog.definitions.notification_targets import Target, target


class Feature(StrEnum):
    """Groups of objects that can be disabled: fields of `api.observability.Features`."""

    METRICS = "metrics"
    SCANNER = "scanner"
    NOTEBOOK = "notebook"
    ANOMALIES = "anomalies"
    LOG_INDEX = "log_index"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationParameters:
    """Targets of the notifications: `paging` for alerts that need action at once, `halt` for workflows that an alert
    on money starts, the others for the rest."""

    paging: tuple[Target, ...]
    trading: tuple[Target, ...]
    infrastructure: tuple[Target, ...]
    halt: tuple[Target, ...]


def notifications(chosen: api.Notifications) -> NotificationParameters:
    """Return the targets that the texts of the spec name."""
    return NotificationParameters(
        paging=tuple(target(text) for text in chosen.paging),
        trading=tuple(target(text) for text in chosen.trading),
        infrastructure=tuple(target(text) for text in chosen.infrastructure),
        halt=tuple(target(text) for text in chosen.halt),
    )


def features(chosen: api.Features) -> frozenset[Feature]:
    """Return the enabled features."""
    return frozenset(feature for feature in Feature if getattr(chosen, feature.value))


_SPEC = ObservabilitySpec(keys_secret_ref=api.KeysSecretRef(name="not-used"))
"""A spec with the default of each field. Its keys are not used."""
_NOTIFICATIONS = notifications(_SPEC.notifications)
_FEATURES = features(_SPEC.features)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """All values that can be chosen. The fields are the Terraform variables, in this sequence."""

    env: str = _SPEC.env
    service: str = _SPEC.service
    team: str = _SPEC.team
    currency: str = _SPEC.currency
    runbooks_url: str = _SPEC.runbooks_url
    renotify_minutes: int = _SPEC.renotify_minutes
    thresholds: Thresholds = _SPEC.thresholds
    objective: Objective = _SPEC.objective
    log_index: LogIndex = _SPEC.log_index
    other_indexes: tuple[str, ...] = ("main",)
    """Other log indexes of the organization, in their sequence. The controller reads them from the organization."""
    notifications: NotificationParameters = _NOTIFICATIONS
    features: frozenset[Feature] = _FEATURES

    @property
    def tags(self) -> list[str]:
        """Tags of every object that has tags."""
        return [f"team:{self.team}", f"service:{self.service}", f"env:{self.env}"]
