{{- define "penstock.name" -}}
{{- if contains "penstock" .Release.Name }}{{ .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else }}{{ printf "%s-penstock" .Release.Name | trunc 53 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "penstock.account" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "penstock.name" .) .Values.serviceAccount.name }}
{{- else }}{{ required "serviceAccount.name: name the service account, or let one be made" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "penstock.selector" -}}
app.kubernetes.io/name: penstock
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end }}

{{- define "penstock.labels" -}}
{{ include "penstock.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* What contradicts itself is refused before anything is installed. */}}
{{- define "penstock.check" -}}
{{- $kafka := .Values.kafka }}
{{- if and (contains "SASL" $kafka.securityProtocol) (not $kafka.sasl.secretName) }}
{{- fail (printf "kafka.securityProtocol %s needs kafka.sasl.secretName: a Secret with username and password" $kafka.securityProtocol) }}
{{- end }}
{{- if and $kafka.tls.clientCertificate (not $kafka.tls.secretName) }}
{{- fail "kafka.tls.clientCertificate needs kafka.tls.secretName: a Secret with tls.crt and tls.key" }}
{{- end }}
{{- end }}
