{{/* What every container has: settings, files, and no right that it does not need. `component` is the Deployment's. */}}
{{- define "penstock.container" -}}
env:
{{ include "penstock.env" . }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
- name: data
  mountPath: /var/lib/penstock
- name: tmp
  mountPath: /tmp
- name: sealing-key
  mountPath: /etc/penstock/sealing
  readOnly: true
{{- if eq (include "penstock.signs" .) "true" }}
- name: signing-key
  mountPath: /etc/penstock/signing
  readOnly: true
{{- end }}
{{- if .Values.kafka.tls.secretName }}
- name: kafka-tls
  mountPath: /etc/penstock/kafka
  readOnly: true
{{- end }}
{{- if .Values.members.kubeconfigSecretName }}
- name: members
  mountPath: /etc/penstock/members
  readOnly: true
{{- end }}
{{- if .Values.members.profiles.providersConfigMapName }}
- name: providers
  mountPath: /etc/penstock/providers
  readOnly: true
{{- end }}
{{- if .Values.xds.tls.secretName }}
- name: xds-tls
  mountPath: /etc/penstock/xds
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
