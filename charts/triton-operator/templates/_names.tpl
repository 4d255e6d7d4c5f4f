{{/* Name of the application, as in the label app.kubernetes.io/name. */}}
{{- define "triton-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of all objects: the release's, with the chart's behind it unless it has it already. Cut to leave room for
the longest suffix within the 63 characters of a DNS label. */}}
{{- define "triton-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "triton-operator.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "triton-operator.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Names of cluster-scoped objects carry the namespace, so that two releases of one name do not collide. */}}
{{- define "triton-operator.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "triton-operator.fullname" .) -}}
{{- end -}}

{{- define "triton-operator.serviceAccountName" -}}
{{- default (include "triton-operator.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* Labels with which Deployment, Service and policies select the pods; a Deployment can never change them. */}}
{{- define "triton-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "triton-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* Labels of every object. */}}
{{- define "triton-operator.labels" -}}
{{ include "triton-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: triton-operator
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* The operator's image; a digest says more than a tag, so the default tag is left out with it. */}}
{{- define "triton-operator.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}{{ with .tag }}:{{ . }}{{ end }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}
