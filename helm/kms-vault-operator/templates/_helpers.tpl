{{/* What several objects have in common: labels, the image, what a value falls back to. */}}

{{/* Labels of every object. They are in no selector: selectors cannot be changed later. */}}
{{- define "kms-vault-operator.labels" -}}
app.kubernetes.io/name: kms-vault-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The image, from (dict "root" $ "version" <own imageVersion>): a digest wins over any tag. */}}
{{- define "kms-vault-operator.image" -}}
{{- $image := .root.Values.image }}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ include "kms-vault-operator.tag" . }}
{{- end }}
{{- end }}

{{- define "kms-vault-operator.tag" -}}
{{ coalesce .version .root.Values.global.imageVersion (printf "v%s" .root.Chart.AppVersion) }}
{{- end }}

{{/* "true" where metrics are to be scraped, from (list <own enable> <global enable>): an own false wins over a global true. */}}
{{- define "kms-vault-operator.isScraped" -}}
{{- $own := index . 0 }}
{{- if kindIs "bool" $own }}{{ ternary "true" "" $own }}{{ else }}{{ ternary "true" "" (index . 1 | default false) }}{{ end }}
{{- end }}

{{/* "true" where there is a PodDisruptionBudget, from (dict "pdb" … "replicas" …). */}}
{{- define "kms-vault-operator.hasBudget" -}}
{{- if kindIs "bool" .pdb.enabled }}{{ ternary "true" "" .pdb.enabled }}{{ else }}{{ ternary "true" "" (gt (int .replicas) 1) }}{{ end }}
{{- end }}

{{- define "kms-vault-operator.budget" -}}
{{- if not (kindIs "invalid" .minAvailable) }}
minAvailable: {{ .minAvailable }}
{{- else }}
maxUnavailable: {{ .maxUnavailable }}
{{- end }}
{{- end }}

{{/* The namespaces of watchNamespace, as a YAML list. */}}
{{- define "kms-vault-operator.watchedNamespaces" -}}
{{- $names := list }}
{{- range splitList "," (.Values.watchNamespace | default "") }}{{ $names = append $names (trim .) }}{{ end }}
{{- $names | compact | uniq | toYaml }}
{{- end }}

{{/* cert-manager, selfSigned or own. */}}
{{- define "kms-vault-operator.certificates" -}}
{{- $webhook := .Values.validatingWebhook }}
{{- $webhook.certificates | default (ternary "certManager" "own" $webhook.certManager.injectSecret) }}
{{- end }}

{{/* "true" where the policy cannot be judged without the labels of namespaces. */}}
{{- define "kms-vault-operator.followsLabels" -}}
{{- $policy := .Values.policy }}
{{- if not $policy.enabled }}
{{- else if kindIs "bool" $policy.followsLabels }}{{ ternary "true" "" $policy.followsLabels }}
{{- else }}
{{- range $rule := $policy.rules }}
{{- if or (dig "namespaces" "labels" "" $rule) (regexMatch "\\{\\{[^}]*label:" (toJson $rule)) }}true{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{/* "true" where Vault's certificate is not verified. */}}
{{- define "kms-vault-operator.skipsVerify" -}}
{{- $explicit := .Values.vault.skipVerify }}
{{- if kindIs "bool" $explicit }}{{ ternary "true" "" $explicit }}
{{- else if kindIs "bool" .Values.tls.enable }}{{ ternary "" "true" .Values.tls.enable }}
{{- end }}
{{- end }}
