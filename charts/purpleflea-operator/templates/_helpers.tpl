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

{{- define "purpleflea-operator.selector" -}}
app.kubernetes.io/name: purpleflea-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "purpleflea-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "purpleflea-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: purpleflea
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "purpleflea-operator.serviceAccountName" -}}
{{- default (include "purpleflea-operator.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}
