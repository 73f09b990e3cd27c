{{/* Alerts on the metrics of the operator. The monitors of Datadog (PurpleFleaObservability) also observe the agents. */}}
{{- define "purpleflea-operator.alerts" -}}
{{- $scope := printf "namespace=%q" .Release.Namespace -}}
- alert: PurpleFleaOperatorHasNoLeader
  expr: 'absent(purpleflea_operator_leader{ {{- $scope -}} } == 1)'
  for: 5m
  labels: {severity: critical}
  annotations:
    summary: No replica of the Purple Flea operator leads
    description: >-
      Agents run on, but no PurpleFleaHalt, change of the mode or change of a spec has an effect. Read the log of the
      operator: kubectl logs --namespace {{ .Release.Namespace }} deployment/{{ include "purpleflea-operator.fullname" . }}
- alert: PurpleFleaOperatorWatchFails
  expr: 'max by (resource, namespace) (purpleflea_operator_watches_failing) > 0'
  for: 10m
  labels: {severity: warning}
  annotations:
    summary: A watch of the Purple Flea operator fails
    description: >-
      The state of the affected agents is possibly outdated. Grant the rights with the roles of the chart.
- alert: PurpleFleaOperatorQueueIsLate
  expr: 'max(purpleflea_operator_queue_oldest_seconds{ {{- $scope -}} }) > 60'
  for: 10m
  labels: {severity: warning}
  annotations:
    summary: Changes of PurpleFleaAgents wait for more than a minute
    description: Raise the chart values workers and resources, or find the API server slow.
- alert: PurpleFleaAgentsNotObserved
  expr: 'max(purpleflea_operator_identities{ {{- $scope -}} }) > 0 and max(purpleflea_operator_telemetry_coverage_ratio{ {{- $scope -}} } and on (pod) purpleflea_operator_leader == 1) < 1'
  for: 30m
  labels: {severity: warning}
  annotations:
    summary: Some trading pods have no proven telemetry
    description: The condition TelemetryReady of the agents has the cause and the remedy (kubectl describe pfa).
- alert: PurpleFleaUpgradeStopped
  expr: 'max by (env) (purpleflea_operator_upgrades_failing) > 0'
  for: 15m
  labels: {severity: warning}
  annotations:
    summary: An agent is not ready after an upgrade of the operator
    description: The upgrade of the other agents of the env waits for it. The condition WorkloadAvailable has the cause.
{{- end -}}
