{{- define "exchange.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := .Values.nameOverride | default "exchange" -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The name of a Service starts with a letter and has no dot, unlike that of a release. */}}
{{- define "exchange.serviceName" -}}
{{- $name := include "exchange.fullname" . | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $name -}}
{{- $name = printf "exchange-%s" $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "exchange.selector" -}}
app.kubernetes.io/name: exchange
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of all objects. Those of the chart take precedence over commonLabels. */}}
{{- define "exchange.labels" -}}
{{- $own := include "exchange.selector" . | fromYaml -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_.") -}}
{{- $_ := set $own "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_" | trunc 63 | trimAll "-_.") -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "purpleflea" -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- merge $own (.Values.commonLabels | default dict) | toYaml -}}
{{- end -}}

{{- define "exchange.metadata" -}}
labels:
  {{- include "exchange.labels" .root | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) (.root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The image reference. A registry replaces that of the repository, which is its first part if it has a dot or a port,
     or is localhost. */}}
{{- define "exchange.image" -}}
{{- $image := .Values.image -}}
{{- $repository := $image.repository -}}
{{- with $image.registry -}}
{{- $first := splitList "/" $repository | first -}}
{{- if and (contains "/" $repository) (regexMatch "[.:]|^localhost$" $first) -}}
{{- $repository = trimPrefix (printf "%s/" $first) $repository -}}
{{- end -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}
{{- end -}}
{{- $tag := $image.tag | default "" -}}
{{- if not (or $tag $image.digest) -}}
{{- $tag = .Chart.AppVersion -}}
{{- end -}}
{{- $repository -}}
{{- with $tag -}}{{- printf ":%s" . -}}{{- end -}}
{{- with $image.digest -}}{{- printf "@%s" . -}}{{- end -}}
{{- end -}}

{{- define "exchange.secretName" -}}
{{- (.Values.existingSecret).name | default (include "exchange.fullname" .) -}}
{{- end -}}

{{- define "exchange.keysEntry" -}}
{{- ternary ((.Values.existingSecret).keysEntry | default "keys") "keys" (not (empty (.Values.existingSecret).name)) -}}
{{- end -}}

{{- define "exchange.adminTokenEntry" -}}
{{- ternary ((.Values.existingSecret).adminTokenEntry | default "admin-token") "admin-token" (not (empty (.Values.existingSecret).name)) -}}
{{- end -}}

{{- define "exchange.podSecurityContext" -}}
{{- /* No user id, because the image has a numeric one. OpenShift assigns both ids to each namespace. */ -}}
{{- $default := dict "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- if not (.Capabilities.APIVersions.Has "security.openshift.io/v1") -}}
{{- $_ := set $default "fsGroup" 10001 -}}
{{- end -}}
{{- mergeOverwrite $default (.Values.podSecurityContext | default dict) | toYaml -}}
{{- end -}}

{{- define "exchange.securityContext" -}}
{{- $default := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) -}}
{{- mergeOverwrite $default (.Values.securityContext | default dict) | toYaml -}}
{{- end -}}
