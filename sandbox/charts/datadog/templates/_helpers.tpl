{{- define "datadog.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "datadog.fullname" -}}
{{- $name := include "datadog.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "datadog.partOf" -}}
{{- printf "%s-%s" (replace "-" "--" .Release.Namespace) (replace "-" "--" (include "datadog.fullname" .)) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels of all objects except the DaemonSet and its pods. */}}
{{- define "datadog.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/name: {{ include "datadog.fullname" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{/* Labels of the DaemonSet's pods. */}}
{{- define "datadog.agentLabels" -}}
app.kubernetes.io/name: {{ include "datadog.fullname" . }}
app.kubernetes.io/instance: {{ .Values.agents.instanceLabelOverride | default (printf "%s-agent" (include "datadog.fullname" .)) }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: {{ include "datadog.partOf" . }}
app.kubernetes.io/component: agent
agent.datadoghq.com/component: agent
{{- end -}}

{{- define "datadog.apiSecret" -}}
{{- .Values.datadog.apiKeyExistingSecret | default (include "datadog.fullname" .) -}}
{{- end -}}

{{/* Name of the Secret with the application key; empty if no application key is required. */}}
{{- define "datadog.appSecret" -}}
{{- if .Values.datadog.appKeyExistingSecret -}}
{{- .Values.datadog.appKeyExistingSecret -}}
{{- else if .Values.datadog.appKey -}}
{{- printf "%s-appkey" (include "datadog.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- define "datadog.serviceAccount" -}}
{{- if .Values.agents.rbac.create -}}{{ include "datadog.fullname" . }}{{- else -}}{{ .Values.agents.rbac.serviceAccountName }}{{- end -}}
{{- end -}}

{{- define "datadog.apmEnabled" -}}
{{- $apm := .Values.datadog.apm -}}
{{- if or $apm.enabled $apm.portEnabled $apm.socketEnabled $apm.useLocalService -}}true{{- else -}}false{{- end -}}
{{- end -}}

{{- define "datadog.intakeUrl" -}}
{{- .Values.sandbox.intake.url | default (printf "http://datadog-intake.%s.svc.%s" .Release.Namespace .Values.clusterDomain) -}}
{{- end -}}

{{/* Environment of both containers, in the sequence of Datadog's chart. User variables come last, so they take precedence. */}}
{{- define "datadog.commonEnv" -}}
- name: DD_API_KEY
  valueFrom:
    secretKeyRef:
      name: {{ include "datadog.apiSecret" . }}
      key: api-key
- name: KUBERNETES
  value: "yes"
- name: DD_SITE
  value: {{ .Values.datadog.site | quote }}
- name: DD_KUBERNETES_KUBELET_HOST
  valueFrom:
    fieldRef:
      fieldPath: status.hostIP
{{- with .Values.datadog.clusterName }}
- name: DD_CLUSTER_NAME
  value: {{ . | quote }}
{{- end }}
{{- with .Values.datadog.tags }}
- name: DD_TAGS
  value: {{ join " " . | quote }}
{{- end }}
- name: DD_LOG_LEVEL
  value: {{ .Values.datadog.logLevel | quote }}
- name: DD_APM_ENABLED
  value: {{ include "datadog.apmEnabled" . | quote }}
- name: DD_LOGS_ENABLED
  value: {{ .Values.datadog.logs.enabled | quote }}
{{- if eq (include "datadog.apmEnabled" .) "true" }}
- name: DD_APM_NON_LOCAL_TRAFFIC
  value: "true"
- name: DD_APM_RECEIVER_PORT
  value: {{ .Values.datadog.apm.port | quote }}
{{- if .Values.datadog.apm.socketEnabled }}
- name: DD_APM_RECEIVER_SOCKET
  value: {{ .Values.datadog.apm.socketPath | quote }}
{{- end }}
{{- end }}
{{- if .Values.datadog.csi.enabled }}
- name: DD_CSI_ENABLED
  value: "true"
{{- end }}
{{- if .Values.datadog.dogstatsd.useSocketVolume }}
- name: DD_DOGSTATSD_SOCKET
  value: {{ .Values.datadog.dogstatsd.socketPath | quote }}
{{- end }}
{{- end -}}

{{- define "datadog.userEnv" -}}
{{- with .Values.datadog.env }}
{{ toYaml . }}
{{- end }}
{{- range $name, $value := .Values.datadog.envDict }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}
