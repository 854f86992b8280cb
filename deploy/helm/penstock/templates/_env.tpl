{{/* Every setting that the chart makes. */}}
{{- define "penstock.env" -}}
{{- $kafka := .Values.kafka -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: PENSTOCK_DATA
  value: /var/lib/penstock/data
- name: PENSTOCK_SEALING_KEY
  value: {{ printf "/etc/penstock/sealing/%s" .Values.sealingKey.key | quote }}
{{- if eq (include "penstock.signs" .) "true" }}
- name: PENSTOCK_SIGNING_KEY
  value: {{ printf "/etc/penstock/signing/%s" .Values.signing.key | quote }}
{{- end }}
{{- with .Values.signing.trustedKeys }}
- name: PENSTOCK_TRUSTED_KEYS
  value: {{ join "," . | quote }}
{{- end }}
- name: PENSTOCK_PROXIES
  value: kubernetes
- name: PENSTOCK_HEALTH_LISTEN
  value: {{ printf "0.0.0.0:%v" .Values.health.port | quote }}
- name: PENSTOCK_LEASE_NAMESPACE
  value: {{ .Release.Namespace | quote }}
- name: PENSTOCK_DOMAIN
  value: {{ .Values.domain | quote }}
- name: PENSTOCK_PARTITION
  value: {{ .Values.partition | quote }}
- name: PENSTOCK_GATEWAY_CLASS
  value: {{ .Values.gatewayClass | quote }}
- name: PENSTOCK_CONTROLLER_NAME
  value: {{ .Values.controllerName | quote }}
- name: PENSTOCK_LOG_LEVEL
  value: {{ .Values.logLevel | quote }}
{{- if .Values.members.enabled }}
- name: PENSTOCK_MEMBERS
  value: "true"
- name: PENSTOCK_CONFIGURATION_CLUSTER
  value: {{ .Values.cluster | quote }}
{{- end }}
{{- if .Values.members.kubeconfigSecretName }}
- name: PENSTOCK_MEMBERS_KUBECONFIG
  value: /etc/penstock/members/kubeconfig
{{- end }}
{{- with .Values.members.profiles.namespaces }}
- name: PENSTOCK_MEMBERS_PROFILES
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.members.profiles.labels }}
- name: PENSTOCK_MEMBERS_PROFILE_LABELS
  value: {{ . | quote }}
{{- end }}
{{- if .Values.members.profiles.providersConfigMapName }}
- name: PENSTOCK_MEMBERS_PROVIDERS
  value: /etc/penstock/providers/providers.json
{{- end }}
{{- with .Values.proxyImage }}
- name: PENSTOCK_PROXY_IMAGE
  value: {{ . | quote }}
{{- end }}
- name: PENSTOCK_XDS_LISTEN
  value: {{ printf "0.0.0.0:%v" .Values.xds.port | quote }}
- name: PENSTOCK_XDS_ADDRESS
  value: {{ default (printf "%s.%s.svc:%v" (include "penstock.name" .) .Release.Namespace .Values.xds.port) .Values.xds.address | quote }}
{{- if .Values.xds.tls.secretName }}
- name: PENSTOCK_XDS_CERTIFICATE
  value: /etc/penstock/xds/tls.crt
- name: PENSTOCK_XDS_KEY
  value: /etc/penstock/xds/tls.key
- name: PENSTOCK_XDS_CA
  value: /etc/penstock/xds/ca.crt
{{- end }}
- name: PENSTOCK_BROKERS
  value: {{ $kafka.brokers | quote }}
- name: PENSTOCK_TOPIC_PREFIX
  value: {{ $kafka.topicPrefix | quote }}
- name: PENSTOCK_SECURITY_PROTOCOL
  value: {{ $kafka.securityProtocol | quote }}
{{- if $kafka.tls.secretName }}
- name: PENSTOCK_SSL_CA
  value: /etc/penstock/kafka/ca.crt
{{- end }}
{{- if $kafka.tls.clientCertificate }}
- name: PENSTOCK_SSL_CERTIFICATE
  value: /etc/penstock/kafka/tls.crt
- name: PENSTOCK_SSL_KEY
  value: /etc/penstock/kafka/tls.key
{{- end }}
{{- with $kafka.sasl.secretName }}
- name: PENSTOCK_SASL_MECHANISM
  value: {{ $kafka.sasl.mechanism | quote }}
- name: PENSTOCK_SASL_USERNAME
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: username
- name: PENSTOCK_SASL_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: password
{{- end }}
{{- end }}
