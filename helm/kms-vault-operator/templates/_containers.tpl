{{/* Flags, volumes and the rest of a pod that the operator and the webhook have in common. */}}

{{/* Flags of both: the webhook judges as the operator would if it is told the same. */}}
{{- define "kms-vault-operator.commonArgs" -}}
- {{ printf "--vault-authentication-method=%s" .Values.vaultAuthenticationMethod }}
{{- if .Values.allowVaultNamespaces }}
- --allow-vault-namespaces
{{- end }}
{{- if .Values.policy.enabled }}
- --policy=/etc/kms-vault-operator/policy/policy.yaml
{{- end }}
{{- with .Values.kms.allowedKeys }}
- {{ printf "--kms-allowed-keys=%s" (join "," .) | quote }}
{{- end }}
{{- with .Values.kms.roleArn }}
- {{ printf "--kms-role-arn=%s" . | quote }}
{{- end }}
{{- if .Values.age.secretName }}
- {{ printf "--age-key-file=/etc/kms-vault-operator/age/%s" .Values.age.secretKey | quote }}
{{- end }}
{{- with .Values.transit.key }}
- {{ printf "--transit-key=%s" . | quote }}
{{- end }}
{{- if ne .Values.log.level "info" }}
- --log-level={{ .Values.log.level }}
{{- end }}
{{- if ne .Values.log.format "auto" }}
- --log-format={{ .Values.log.format }}
{{- end }}
{{- end }}

{{/* Volumes of both. Whole directories: a file mounted by subPath would never change, and all of these are re-read. */}}
{{- define "kms-vault-operator.commonVolumes" -}}
{{- if .Values.policy.enabled }}
- name: policy
  configMap:
    name: {{ .Values.policy.existingConfigMap | default "kms-vault-operator-policy" | quote }}
{{- end }}
{{- with .Values.age.secretName }}
- name: age
  secret:
    secretName: {{ . | quote }}
{{- end }}
{{- with .Values.transit.tokenSecretName }}
- name: transit
  secret:
    secretName: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "kms-vault-operator.commonVolumeMounts" -}}
{{- if .Values.policy.enabled }}
- name: policy
  mountPath: /etc/kms-vault-operator/policy
  readOnly: true
{{- end }}
{{- if .Values.age.secretName }}
- name: age
  mountPath: /etc/kms-vault-operator/age
  readOnly: true
{{- end }}
{{- if .Values.transit.tokenSecretName }}
- name: transit
  mountPath: /etc/kms-vault-operator/transit
  readOnly: true
{{- end }}
{{- end }}

{{- define "kms-vault-operator.operatorVolumes" -}}
{{- if .Values.tls.enable }}
- name: tls
  {{- if .Values.tls.configMapName }}
  configMap:
    name: {{ .Values.tls.configMapName | quote }}
  {{- else }}
  secret:
    secretName: {{ .Values.tls.secretName | quote }}
  {{- end }}
{{- end }}
{{- with .Values.vault.clientCertificateSecretName }}
- name: vault-client
  secret:
    secretName: {{ . | quote }}
{{- end }}
{{- include "kms-vault-operator.commonVolumes" . }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "kms-vault-operator.operatorVolumeMounts" -}}
{{- if .Values.tls.enable }}
- name: tls
  mountPath: {{ .Values.tls.mountPath | quote }}
  readOnly: true
{{- end }}
{{- if .Values.vault.clientCertificateSecretName }}
- name: vault-client
  mountPath: /etc/kms-vault-operator/vault-client
  readOnly: true
{{- end }}
{{- include "kms-vault-operator.commonVolumeMounts" . }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "kms-vault-operator.webhookVolumes" -}}
{{- if ne (include "kms-vault-operator.certificates" .) "selfSigned" }}
- name: tls
  secret:
    secretName: {{ include "kms-vault-operator.certificateSecret" . | quote }}
{{- end }}
{{- include "kms-vault-operator.commonVolumes" . }}
{{- with .Values.validatingWebhook.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "kms-vault-operator.certificateSecret" -}}
{{- if eq (include "kms-vault-operator.certificates" .) "own" }}
{{- .Values.validatingWebhook.tls.secretName }}
{{- else -}}
kms-vault-validating-webhook
{{- end }}
{{- end }}

{{- define "kms-vault-operator.webhookVolumeMounts" -}}
{{- if ne (include "kms-vault-operator.certificates" .) "selfSigned" }}
- name: tls
  mountPath: {{ .Values.validatingWebhook.tls.mountPath | quote }}
  readOnly: true
{{- end }}
{{- include "kms-vault-operator.commonVolumeMounts" . }}
{{- with .Values.validatingWebhook.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Where a pod may run, from (dict "nodeSelector" … "tolerations" … "affinity" … "spread" … "priorityClassName" …). */}}
{{- define "kms-vault-operator.scheduling" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .spread }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A probe, from (dict "path" … "port" … "settings" …). */}}
{{- define "kms-vault-operator.probe" -}}
httpGet:
  path: {{ .path }}
  port: {{ .port }}
{{- with .settings }}
{{ toYaml . }}
{{- end }}
{{- end }}
