{{- define "penstock.name" -}}
{{- if contains "penstock" .Release.Name }}{{ .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else }}{{ printf "%s-penstock" .Release.Name | trunc 53 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "penstock.account" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "penstock.name" .) .Values.serviceAccount.name }}
{{- else }}{{ required "serviceAccount.name: name the service account, or let one be made" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{/* What every pod of the release has. */}}
{{- define "penstock.selector" -}}
app.kubernetes.io/name: penstock
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The Deployments, each with the words of its command: one for all roles, or one for each. */}}
{{- define "penstock.components" -}}
{{- $cluster := list "--cluster" .Values.cluster -}}
{{- if .Values.roles.apart -}}
watch: {{ concat (list "watch") $cluster | toJson }}
resolve: ["resolve"]
project: ["project"]
publish: ["publish"]
write-status: {{ concat (list "write-status") $cluster | toJson }}
deploy: {{ concat (list "deploy") $cluster | toJson }}
{{- else -}}
controller: {{ concat (list "controller") $cluster (list "--plain") | toJson }}
{{- end -}}
{{- end }}

{{/* The one that serves config. */}}
{{- define "penstock.publisher" -}}
{{ ternary "publish" "controller" .Values.roles.apart }}
{{- end }}

{{/* "true" for a component that writes changes into the log, where there is a key to sign them with. */}}
{{- define "penstock.signs" -}}
{{ and (ne .Values.signing.secretName "") (has .component (list "controller" "watch" "resolve" "publish")) }}
{{- end }}

{{/* The name of a component's Deployment. */}}
{{- define "penstock.full" -}}
{{- if eq .component "controller" }}{{ include "penstock.name" .root }}
{{- else }}{{ printf "%s-%s" (include "penstock.name" .root) .component }}{{ end }}
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
{{- if and $kafka.sasl.secretName (not (contains "SASL" $kafka.securityProtocol)) }}
{{- fail (printf "kafka.sasl is for SASL_PLAINTEXT and SASL_SSL, and kafka.securityProtocol is %s" $kafka.securityProtocol) }}
{{- end }}
{{- if and .Values.signing.trustedKeys (not .Values.signing.secretName) }}
{{- fail "signing.trustedKeys needs signing.secretName: what penstock says itself must be signed then" }}
{{- end }}
{{- if and .Values.members.kubeconfigSecretName (not .Values.members.enabled) }}
{{- fail "members.kubeconfigSecretName is for members.enabled=true" }}
{{- end }}
{{- $profiles := .Values.members.profiles }}
{{- if and $profiles.namespaces (not .Values.members.enabled) }}
{{- fail "members.profiles.namespaces is for members.enabled=true" }}
{{- end }}
{{- if and (or $profiles.labels $profiles.providersConfigMapName) (not $profiles.namespaces) }}
{{- fail "members.profiles needs namespaces: name those whose ClusterProfiles count" }}
{{- end }}
{{- if and $profiles.namespaces (not $profiles.providersConfigMapName) }}
{{- fail "members.profiles needs providersConfigMapName: a ConfigMap with a key providers.json" }}
{{- end }}
{{- if and $kafka.tls.secretName (not (contains "SSL" $kafka.securityProtocol)) }}
{{- fail (printf "kafka.tls is for SSL and SASL_SSL, and kafka.securityProtocol is %s" $kafka.securityProtocol) }}
{{- end }}
{{- end }}
