{{/* Environment of the two containers, as YAML lists. */}}

{{/* A list of variables without those that a later one of the same name replaces: the API server takes no name twice. */}}
{{- define "kms-vault-operator.uniqueEnv" -}}
{{- $seen := dict }}
{{- $kept := list }}
{{- range reverse . }}
{{- if not (hasKey $seen .name) }}
{{- $_ := set $seen .name true }}
{{- $kept = prepend $kept . }}
{{- end }}
{{- end }}
{{- toYaml $kept }}
{{- end }}

{{- define "kms-vault-operator.operatorEnv" -}}
{{- $own := include "kms-vault-operator.ownOperatorEnv" . | fromYamlArray }}
{{- $values := .Values }}
{{- include "kms-vault-operator.uniqueEnv" (concat $own (include "kms-vault-operator.transitEnv" . | fromYamlArray) ($values.authMethodVariables | default list) ($values.aws.iamCredentialsSecrets | default list) ($values.extraEnv | default list)) }}
{{- end }}

{{- define "kms-vault-operator.ownOperatorEnv" -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- with include "kms-vault-operator.watchedNamespaces" . | fromYamlArray }}
- name: WATCH_NAMESPACE
  value: {{ join "," . | quote }}
{{- end }}
- name: AWS_REGION
  value: {{ .Values.aws.region | quote }}
- name: VAULT_ADDR
  value: {{ .Values.vault.address | quote }}
{{- with .Values.vault.namespace }}
- name: VAULT_NAMESPACE
  value: {{ . | quote }}
{{- end }}
{{- with .Values.vault.serverName }}
- name: VAULT_TLS_SERVER_NAME
  value: {{ . | quote }}
{{- end }}
{{- if .Values.vault.clientCertificateSecretName }}
- name: VAULT_CLIENT_CERT
  value: /etc/kms-vault-operator/vault-client/tls.crt
- name: VAULT_CLIENT_KEY
  value: /etc/kms-vault-operator/vault-client/tls.key
{{- end }}
{{- if include "kms-vault-operator.skipsVerify" . }}
- name: VAULT_SKIP_VERIFY
  value: "true"
{{- else if .Values.tls.enable }}
- name: VAULT_CAPATH
  value: {{ printf "%s/%s" (trimSuffix "/" .Values.tls.mountPath) .Values.tls.certFileName | quote }}
{{- end }}
{{- end }}

{{/* Another Vault that has the transit keys: for both containers. */}}
{{- define "kms-vault-operator.transitEnv" -}}
{{- with .Values.transit }}
{{- if .address }}
- name: VAULT_TRANSIT_ADDR
  value: {{ .address | quote }}
{{- end }}
{{- if .namespace }}
- name: VAULT_TRANSIT_NAMESPACE
  value: {{ .namespace | quote }}
{{- end }}
{{- if .tokenSecretName }}
- name: VAULT_TRANSIT_TOKEN_FILE
  value: {{ printf "/etc/kms-vault-operator/transit/%s" .tokenSecretKey | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "kms-vault-operator.webhookEnv" -}}
{{- $own := include "kms-vault-operator.ownWebhookEnv" . | fromYamlArray }}
{{- $values := .Values }}
{{- include "kms-vault-operator.uniqueEnv" (concat $own (include "kms-vault-operator.transitEnv" . | fromYamlArray) ($values.aws.iamCredentialsSecrets | default list) ($values.validatingWebhook.extraEnv | default list)) }}
{{- end }}

{{- define "kms-vault-operator.ownWebhookEnv" -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: AWS_REGION
  value: {{ .Values.aws.region | quote }}
{{- /* The policy goes by it. The original's chart had no value for it, so it may stand among the operator's variables. */}}
{{- range include "kms-vault-operator.operatorEnv" . | fromYamlArray }}
{{- if eq .name "VAULT_NAMESPACE" }}
{{ toYaml (list .) }}
{{- end }}
{{- end }}
{{- end }}
