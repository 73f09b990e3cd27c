{{- define "purpleflea-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The version as the value of a label, which allows fewer characters than a version. */}}
{{- define "purpleflea-operator.version" -}}
{{- .Chart.AppVersion | replace "+" "_" | trunc 63 | trimAll "-_." -}}
{{- end -}}

{{- define "purpleflea-operator.selector" -}}
app.kubernetes.io/name: purpleflea-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "purpleflea-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_." | quote }}
{{ include "purpleflea-operator.selector" . }}
app.kubernetes.io/version: {{ include "purpleflea-operator.version" . | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: purpleflea
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end -}}

{{- define "purpleflea-operator.serviceAccountName" -}}
{{- default (include "purpleflea-operator.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* The group that owns the volumes of agents; empty if the cluster assigns it. */}}
{{- define "purpleflea-operator.agentFsGroup" -}}
{{- if ne (toString .Values.agent.fsGroup) "auto" -}}
{{- .Values.agent.fsGroup | int64 -}}
{{- else if not (.Capabilities.APIVersions.Has "security.openshift.io/v1") -}}
10001
{{- end -}}
{{- end -}}

{{/* Datadog's unified service tags of the operator itself. */}}
{{- define "purpleflea-operator.unified" -}}
tags.datadoghq.com/service: purpleflea-operator
tags.datadoghq.com/version: {{ include "purpleflea-operator.version" . | quote }}
{{- with .Values.datadog.env }}
tags.datadoghq.com/env: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* The node agent scrapes /metrics as purpleflea_operator.* and sets the source of the logs. The check removes the
     prefix before it applies the list of metrics. */}}
{{- define "purpleflea-operator.datadogAnnotations" -}}
{{- $instance := dict "openmetrics_endpoint" "http://%%host%%:8080/metrics" "namespace" "purpleflea_operator"
  "raw_metric_prefix" "purpleflea_operator_" "metrics" (list ".+") }}
{{- $logs := dict "source" "purpleflea-operator" "service" "purpleflea-operator" }}
ad.datadoghq.com/operator.checks: {{ dict "openmetrics" (dict "init_config" dict "instances" (list $instance)) | toJson | quote }}
ad.datadoghq.com/operator.logs: {{ list $logs | toJson | quote }}
{{- end -}}
