{{/* Parts of roles and bindings. */}}

{{/* What the operator does with objects, where it watches: reads both kinds, saves statuses, takes its finalizer away. */}}
{{- define "kms-vault-operator.objectRules" -}}
- apiGroups: [k8s.patoarvizu.dev]
  resources: [kmsvaultsecrets]
  verbs: [get, list, watch, patch] # patch: finalizers
- apiGroups: [k8s.patoarvizu.dev]
  resources: [kmsvaultsecrets/status]
  verbs: [patch]
- apiGroups: [k8s.patoarvizu.dev]
  resources: [partialkmsvaultsecrets]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- define "kms-vault-operator.operatorSubject" -}}
- kind: ServiceAccount
  name: {{ .Values.serviceAccount.name | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end }}

{{- define "kms-vault-operator.webhookSubject" -}}
- kind: ServiceAccount
  name: {{ .Values.validatingWebhook.serviceAccount.name | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end }}

{{/*
A ClusterRole, or in namespaces that are watched a Role each, with its binding:
(dict "root" $ "name" … "comment" … "rules" … "subjects" …).
*/}}
{{- define "kms-vault-operator.roleWhereWatched" -}}
{{- $given := . }}
{{- $watched := include "kms-vault-operator.watchedNamespaces" .root | fromYamlArray }}
{{- range $namespace := $watched | default (list "") }}
{{- $scope := ternary "" "Cluster" (ne $namespace "") }}
---
{{ $given.comment }}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $scope }}Role
metadata:
  name: {{ $given.name }}
  {{- with $namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- include "kms-vault-operator.labels" $given.root | nindent 4 }}
rules:
  {{- $given.rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $scope }}RoleBinding
metadata:
  name: {{ $given.name }}
  {{- with $namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- include "kms-vault-operator.labels" $given.root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $scope }}Role
  name: {{ $given.name }}
subjects:
  {{- $given.subjects | nindent 2 }}
{{- end }}
{{- end }}
