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

{{/* An image reference of `image` (values) for the chart `root`. A registry replaces that of the repository, which is
     its first part if it has a dot or a port, or is localhost. */}}
{{- define "purpleflea-operator.image" -}}
{{- $repository := .image.repository -}}
{{- with .image.registry -}}
{{- $first := splitList "/" $repository | first -}}
{{- if and (contains "/" $repository) (regexMatch "[.:]|^localhost$" $first) -}}
{{- $repository = trimPrefix (printf "%s/" $first) $repository -}}
{{- end -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}
{{- end -}}
{{- $tag := .image.tag | default "" -}}
{{- if not (or $tag .image.digest) -}}
{{- $tag = .root.Chart.AppVersion -}}
{{- end -}}
{{- $repository -}}
{{- with $tag -}}{{- printf ":%s" . -}}{{- end -}}
{{- with .image.digest -}}{{- printf "@%s" . -}}{{- end -}}
{{- end -}}

{{- define "purpleflea-operator.operatorImage" -}}
{{- include "purpleflea-operator.image" (dict "image" .Values.image "root" .) -}}
{{- end -}}

{{- define "purpleflea-operator.selector" -}}
app.kubernetes.io/name: purpleflea-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of all objects. Those of the chart take precedence over commonLabels. */}}
{{- define "purpleflea-operator.labels" -}}
{{- $own := include "purpleflea-operator.selector" . | fromYaml -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_.") -}}
{{- $_ := set $own "app.kubernetes.io/version" (include "purpleflea-operator.version" .) -}}
{{- $_ := set $own "app.kubernetes.io/component" "operator" -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "purpleflea" -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- merge $own (.Values.commonLabels | default dict) | toYaml -}}
{{- end -}}

{{/* Labels and annotations of an object of the chart `root`, with its own `labels` and `annotations`. */}}
{{- define "purpleflea-operator.metadata" -}}
labels:
  {{- merge (include "purpleflea-operator.labels" .root | fromYaml) (.labels | default dict) | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) (.root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "purpleflea-operator.createsServiceAccount" -}}
{{- if dig "create" true (.Values.serviceAccount | default dict) -}}true{{- end -}}
{{- end -}}

{{- define "purpleflea-operator.createsRoles" -}}
{{- if dig "create" true (.Values.rbac | default dict) -}}true{{- end -}}
{{- end -}}

{{- define "purpleflea-operator.serviceAccountName" -}}
{{- $default := ternary (include "purpleflea-operator.fullname" .) "default" (eq (include "purpleflea-operator.createsServiceAccount" .) "true") -}}
{{- default $default (dig "name" "" (.Values.serviceAccount | default dict)) -}}
{{- end -}}

{{/* The ServiceAccount of a hook with the name `name`. A hook has its own, unless the chart creates none or no roles. */}}
{{- define "purpleflea-operator.hookServiceAccount" -}}
{{- if and (include "purpleflea-operator.createsServiceAccount" .root) (include "purpleflea-operator.createsRoles" .root) -}}
{{- .name -}}
{{- else -}}
{{- include "purpleflea-operator.serviceAccountName" .root -}}
{{- end -}}
{{- end -}}

{{/* The group that owns the volumes of agents; empty if the cluster assigns it. */}}
{{- define "purpleflea-operator.agentFsGroup" -}}
{{- $group := .Values.agent.fsGroup | default "auto" -}}
{{- if ne (toString $group) "auto" -}}
{{- $group | int64 -}}
{{- else if not (.Capabilities.APIVersions.Has "security.openshift.io/v1") -}}
10001
{{- end -}}
{{- end -}}

{{/* Datadog's unified service tags of the operator itself. */}}
{{- define "purpleflea-operator.unified" -}}
tags.datadoghq.com/service: purpleflea-operator
tags.datadoghq.com/version: {{ include "purpleflea-operator.version" . | quote }}
{{- with (.Values.datadog).env }}
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

{{/* The namespaces whose node agents are trusted. */}}
{{- define "purpleflea-operator.datadogNamespaces" -}}
{{- dig "namespaces" nil (.Values.datadog | default dict) | default (list "datadog" "datadog-agent") | toJson -}}
{{- end -}}

{{/* The same fields of all pods of the chart: credentials, scheduling. */}}
{{- define "purpleflea-operator.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "purpleflea-operator.podSecurityContext" -}}
{{- /* No user id, because the image has a numeric one and OpenShift assigns its own. */ -}}
{{- $default := dict "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- mergeOverwrite $default (.Values.podSecurityContext | default dict) | toYaml -}}
{{- end -}}

{{- define "purpleflea-operator.securityContext" -}}
{{- $default := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) -}}
{{- mergeOverwrite $default (.Values.securityContext | default dict) | toYaml -}}
{{- end -}}

{{/* Labels and annotations of a hook. Helm prints the output of a failed hook since version 3.18. */}}
{{- define "purpleflea-operator.hook" -}}
{{- $annotations := dict "helm.sh/hook" .hook "helm.sh/hook-weight" .weight
  "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" -}}
{{- if eq .weight "0" -}}
{{- $_ := set $annotations "helm.sh/hook-output-log-policy" "hook-failed" -}}
{{- end -}}
{{- include "purpleflea-operator.metadata" (dict "root" .root "annotations" $annotations) -}}
{{- end -}}
