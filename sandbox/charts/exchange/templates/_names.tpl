{{- define "exchange.selector" -}}
app.kubernetes.io/name: exchange
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "exchange.labels" -}}
{{ include "exchange.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: purpleflea-sandbox
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "exchange.secretName" -}}
{{ .Values.existingSecret.name | default "exchange" }}
{{- end }}

{{- define "exchange.keysEntry" -}}
{{ ternary .Values.existingSecret.keysEntry "keys" (ne .Values.existingSecret.name "") }}
{{- end }}

{{- define "exchange.adminTokenEntry" -}}
{{ ternary .Values.existingSecret.adminTokenEntry "admin-token" (ne .Values.existingSecret.name "") }}
{{- end }}
