{{/*
What cannot be installed, all of it at once, with what to write instead: values of earlier charts that have another name
now, values that contradict each other, and what would harm an installation that is there.
*/}}

{{- define "kms-vault-operator.refused" -}}
{{- include "kms-vault-operator.requireValues" . }}
{{- $problems := list }}
{{- range $part := list "formerValues" "contradictions" "liveProblems" }}
{{- range include (print "kms-vault-operator." $part) $ | splitList "\n" }}
{{- with trim . }}{{ $problems = append $problems . }}{{ end }}
{{- end }}
{{- end }}
{{- if $problems }}
{{- fail (printf "\nthe chart kms-vault-operator cannot be installed so:\n  - %s\n" (join "\n  - " $problems)) }}
{{- end }}
{{- end }}

{{/*
With --reuse-values the earlier chart's defaults take the place of this one's, and everything new is missing. A null in a
values file takes a default away likewise, and false would be made of it.
*/}}
{{- define "kms-vault-operator.requireValues" -}}
{{- $missing := list }}
{{- range $name := .Files.Get "files/required-values.yaml" | fromYamlArray }}
{{- $at := $.Values }}
{{- range splitList "." $name }}
{{- $at = index ($at | default dict) . }}
{{- end }}
{{- if kindIs "invalid" $at }}{{ $missing = append $missing $name }}{{ end }}
{{- end }}
{{- if $missing }}
{{- $more := gt (len $missing) 5 | ternary (printf " and %d more" (sub (len $missing) 5)) "" }}
{{- fail (printf "\nthe chart kms-vault-operator cannot be installed so: %s%s must not be null; leave them out for their defaults. If nothing sets them: --reuse-values takes the earlier chart's defaults, write --reset-then-reuse-values in its place\n" (join ", " (slice $missing 0 (min 5 (len $missing) | int))) $more) }}
{{- end }}
{{- end }}

{{- define "kms-vault-operator.formerValues" }}
{{- with .Values.authentication }}
{{- if .k8s }}
{{- $k8s := kindIs "map" .k8s | ternary .k8s dict }}
authentication.k8s is now vaultAuthenticationMethod: k8s and authMethodVariables: [{name: VAULT_K8S_ROLE, value: {{ $k8s.role }}}, {name: VAULT_K8S_LOGIN_ENDPOINT, value: {{ $k8s.endpoint }}}]
{{- end }}
{{- if .token }}
authentication.token is now vaultAuthenticationMethod: token and authMethodVariables: [{name: VAULT_TOKEN, {{ include "kms-vault-operator.fromSecret" .token }}}]
{{- end }}
{{- if .userpass }}
{{- $userpass := kindIs "map" .userpass | ternary .userpass dict }}
authentication.userpass is now vaultAuthenticationMethod: userpass and authMethodVariables: [{name: VAULT_USERNAME, value: {{ $userpass.username }}}, {name: VAULT_PASSWORD, {{ include "kms-vault-operator.fromSecret" $userpass.password }}}]
{{- end }}
{{- end }}
{{- with .Values.aws.accessKeyId }}
aws.accessKeyId is now an entry of aws.iamCredentialsSecrets: {name: AWS_ACCESS_KEY_ID, {{ include "kms-vault-operator.fromSecret" . }}}
{{- end }}
{{- with .Values.aws.secretAccessKey }}
aws.secretAccessKey is now an entry of aws.iamCredentialsSecrets: {name: AWS_SECRET_ACCESS_KEY, {{ include "kms-vault-operator.fromSecret" . }}}
{{- end }}
{{- with .Values.validatingWebhookSidecar }}
{{- if .enabled }}
{{- $now := merge (omit . "tlsSecretName") (dict "certManager" (dict "injectSecret" false)) }}
{{- with .tlsSecretName }}{{ $_ := set $now "tls" (dict "secretName" .) }}{{ end }}
validatingWebhookSidecar is now validatingWebhook: {{ toJson $now }}
{{- end }}
{{- end }}
{{- $webhook := .Values.validatingWebhook }}
{{- $tags := dict "operator" (include "kms-vault-operator.tag" (dict "root" . "version" .Values.imageVersion)) }}
{{- if $webhook.enabled }}{{ $_ := set $tags "webhook" (include "kms-vault-operator.tag" (dict "root" . "version" $webhook.imageVersion)) }}{{ end }}
{{- range $who, $tag := $tags }}
{{- if and (not $.Values.image.digest) (contains "patoarvizu/kms-vault-operator" $.Values.image.repository) (regexMatch "^v?0\\." $tag) }}
imageVersion (or global.imageVersion) {{ $tag }} of the {{ $who }} is an image of the Go operator, which this chart does not start: leave it out for v{{ $.Chart.AppVersion }}
{{- end }}
{{- end }}
{{- $api := $webhook.certManager.apiVersion }}
{{- if and $webhook.enabled (eq (include "kms-vault-operator.certificates" .) "certManager") (not (eq $api "cert-manager.io/v1")) }}
validatingWebhook.certManager.apiVersion {{ $api }} is gone from cert-manager: leave it out for cert-manager.io/v1
{{- end }}
{{- end }}

{{- define "kms-vault-operator.contradictions" }}
{{- if and .Values.tls.enable (not .Values.tls.secretName) (not .Values.tls.configMapName) }}
tls.enable needs tls.secretName or tls.configMapName, which hold the CA of Vault's certificate
{{- end }}
{{- if and .Values.tls.secretName .Values.tls.configMapName }}
tls.secretName and tls.configMapName: only one of them can hold the CA
{{- end }}
{{- range $name := list "secretName" "configMapName" }}
{{- if and (index $.Values.tls $name) (kindIs "invalid" $.Values.tls.enable) }}
tls.{{ $name }} needs tls.enable: true, or the CA in it is not looked at; leave tls.{{ $name }} out if it is not needed, or set tls.enable: false to verify nothing
{{- end }}
{{- end }}
{{- if and .Values.tls.enable .Values.vault.skipVerify }}
tls.enable: true and vault.skipVerify: true contradict each other: Vault's certificate is verified or it is not
{{- end }}
{{- $shards := int .Values.shards }}
{{- $replicas := int .Values.replicas }}
{{- if and (gt $shards 1) (lt $shards $replicas) }}
shards: {{ $shards }} is less than replicas: {{ $replicas }}; those without a shard would have nothing to do
{{- end }}
{{- if and (le $shards 1) (gt $replicas 1) (not .Values.leaderElection.enabled) }}
replicas: {{ $replicas }} needs leaderElection.enabled: true or shards, or all of them would write to Vault at the same time
{{- end }}
{{- $policy := .Values.policy }}
{{- if and $policy.enabled (not $policy.existingConfigMap) (kindIs "invalid" $policy.rules) }}
policy.enabled needs policy.rules or policy.existingConfigMap; rules: [] denies everything to everybody
{{- end }}
{{- if kindIs "invalid" $policy.enabled }}
{{- range $name := include "kms-vault-operator.keptPolicy" . | splitList "," | compact }}
policy.{{ $name }} without policy.enabled: true would be no policy, and every object could use all that the operator may: set policy.enabled: true, or policy.enabled: false if that is meant
{{- end }}
{{- end }}
{{- if and $policy.existingConfigMap $policy.rules }}
policy.rules and policy.existingConfigMap: only one of them can be the policy
{{- end }}
{{- range $flag, $value := dict "enable-leader-election" "leaderElection.enabled" "shards" "shards" }}
{{- range $.Values.extraArgs }}
{{- if regexMatch (printf "^--?%s(=|$)" $flag) . }}
extraArgs: --{{ $flag }} belongs into {{ $value }}, by which the rights on Leases and the strategy of rollouts go
{{- end }}
{{- end }}
{{- end }}
{{- $webhook := .Values.validatingWebhook }}
{{- if and $webhook.enabled $webhook.serviceAccount.annotations (eq $webhook.serviceAccount.name .Values.serviceAccount.name) }}
validatingWebhook.serviceAccount.annotations: the webhook shares the operator's account, so they belong into serviceAccount.annotations
{{- end }}
{{- include "kms-vault-operator.emptyBudget" (dict "name" "pdb" "pdb" .Values.pdb "replicas" .Values.replicas) }}
{{- if $webhook.enabled }}
{{- include "kms-vault-operator.emptyBudget" (dict "name" "validatingWebhook.pdb" "pdb" $webhook.pdb "replicas" $webhook.replicas) }}
{{- end }}
{{- include "kms-vault-operator.startProblems" . }}
{{- end }}

{{/* Which values hold a policy, separated by commas. No rule at all ([]) denies everything, so it is one. */}}
{{- define "kms-vault-operator.keptPolicy" -}}
{{- $policy := .Values.policy }}
{{- list (ternary "" "rules" (kindIs "invalid" $policy.rules)) (ternary "" "existingConfigMap" (empty $policy.existingConfigMap)) | compact | join "," }}
{{- end }}

{{- define "kms-vault-operator.emptyBudget" }}
{{- if and (include "kms-vault-operator.hasBudget" .) (kindIs "invalid" .pdb.minAvailable) (kindIs "invalid" .pdb.maxUnavailable) }}
{{ .name }}.minAvailable or {{ .name }}.maxUnavailable must be given, or {{ .name }}.enabled: false
{{- end }}
{{- end }}

{{/*
What the programs would not start with. Only what no value could supply is refused: envFrom may hold any variable, and a
flag in extraArgs may choose another method.
*/}}
{{- define "kms-vault-operator.startProblems" }}
{{- $hasToken := include "kms-vault-operator.bothMayHave" (list . "VAULT_TRANSIT_TOKEN" "VAULT_TRANSIT_TOKEN_FILE") }}
{{- if and .Values.transit.address (not $hasToken) }}
transit.address needs transit.tokenSecretName, or VAULT_TRANSIT_TOKEN or VAULT_TRANSIT_TOKEN_FILE in extraEnv{{ if .Values.validatingWebhook.enabled }} and validatingWebhook.extraEnv{{ end }}: there is no other login to that Vault
{{- end }}
{{- if and .Values.transit.tokenSecretName (not (include "kms-vault-operator.bothMayHave" (list . "VAULT_TRANSIT_ADDR"))) }}
transit.tokenSecretName needs transit.address: the token is for another Vault; leave it out where the operator's own has the keys
{{- end }}
{{- $isOverruled := regexMatch "(^|,)--?vault-authentication-method" (.Values.extraArgs | default list | join ",") }}
{{- if not $isOverruled }}
{{- include "kms-vault-operator.loginProblems" . }}
{{- end }}
{{- end }}

{{- define "kms-vault-operator.loginProblems" }}
{{- $method := .Values.vaultAuthenticationMethod }}
{{- $given := list (include "kms-vault-operator.operatorEnv" . | fromYamlArray) .Values.extraEnvFrom }}
{{- $missing := list }}
{{- $files := list }}
{{- range $names := index (include "kms-vault-operator.requiredVariables" . | fromYaml) $method }}
{{- if not (include "kms-vault-operator.mayHave" (concat $given $names)) }}
{{- $missing = append $missing (printf "{name: %s, %s}" (first $names) (rest $names | empty | ternary "value: …" (include "kms-vault-operator.fromSecret" dict))) }}
{{- $files = concat $files (rest $names) }}
{{- end }}
{{- end }}
{{- if and $missing (eq $method "cert") }}
vaultAuthenticationMethod: cert needs vault.clientCertificateSecretName, the Secret with the certificate that logs in, or VAULT_CLIENT_CERT and VAULT_CLIENT_KEY in extraEnv
{{- else if $missing }}
vaultAuthenticationMethod: {{ $method }} needs in authMethodVariables: [{{ join ", " $missing }}]{{ with $files }}, or {{ join " and " . }} for a file with it{{ end }}
{{- end }}
{{- end }}

{{/*
Method → what it cannot log in without, each variable with the one that can name a file in its place, as the operator itself
asks for it (its src/vault/auth/environment.ts).
*/}}
{{- define "kms-vault-operator.requiredVariables" -}}
token: [[VAULT_TOKEN, VAULT_TOKEN_FILE]]
userpass: [[VAULT_USERNAME], [VAULT_PASSWORD, VAULT_PASSWORD_FILE]]
approle: [[VAULT_APPROLE_ROLE_ID]]
github: [[VAULT_GITHUB_TOKEN, VAULT_GITHUB_TOKEN_FILE]]
jwt: [[VAULT_JWT, VAULT_JWT_FILE]]
cert: [[VAULT_CLIENT_CERT], [VAULT_CLIENT_KEY]]
ldap: [[VAULT_LDAP_USERNAME], [VAULT_LDAP_PASSWORD, VAULT_LDAP_PASSWORD_FILE]]
{{- end }}

{{/* "true" where a container may have one of the variables, from (list <env> <envFrom> <name>…). */}}
{{- define "kms-vault-operator.mayHave" -}}
{{- $names := slice . 2 }}
{{- if index . 1 }}true{{ end }}
{{- range index . 0 }}{{ if has .name $names }}true{{ end }}{{ end }}
{{- end }}

{{/* "true" where the operator, and the webhook if there is one, may have one of the variables, from (list $ <name>…). */}}
{{- define "kms-vault-operator.bothMayHave" -}}
{{- $root := first . }}
{{- $webhook := $root.Values.validatingWebhook }}
{{- $operator := list (include "kms-vault-operator.operatorEnv" $root | fromYamlArray) $root.Values.extraEnvFrom }}
{{- $others := list (include "kms-vault-operator.webhookEnv" $root | fromYamlArray) $webhook.extraEnvFrom }}
{{- if include "kms-vault-operator.mayHave" (concat $operator (rest .)) }}
{{- if or (not $webhook.enabled) (include "kms-vault-operator.mayHave" (concat $others (rest .))) }}true{{ end }}
{{- end }}
{{- end }}

{{/* Of an installation that is there: nothing of this is found by `helm template`. */}}
{{- define "kms-vault-operator.liveProblems" }}
{{- $live := lookup "apps/v1" "Deployment" .Release.Namespace "kms-vault-operator" }}
{{- if $live }}
{{- $selector := dig "spec" "selector" "matchLabels" dict $live }}
{{- if ne (toJson $selector) (toJson (dict "app" "kms-vault-operator")) }}
the Deployment kms-vault-operator that is there selects its pods by other labels ({{ toJson $selector }}), which cannot be changed: kubectl -n {{ .Release.Namespace }} delete deployment kms-vault-operator, then repeat this; secrets in Vault stay
{{- end }}
{{- if and (not (include "kms-vault-operator.saysHowToVerify" .)) (include "kms-vault-operator.doesNotVerify" $live) }}
the operator that is there does not verify Vault's certificate (tls.enable was false unless set), and no value says whether that shall stay: set tls.enable: true with tls.secretName, which holds the CA; or vault.skipVerify: false if the system's CAs do; or vault.skipVerify: true to go on without
{{- end }}
{{- end }}
{{- include "kms-vault-operator.lostIdentity" . }}
{{- if and .Release.IsUpgrade (not .Values.crds.install) }}
{{- range $plural := list "kmsvaultsecrets" "partialkmsvaultsecrets" }}
{{- $metadata := (lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" (print $plural ".k8s.patoarvizu.dev")).metadata | default dict }}
{{- $annotations := $metadata.annotations | default dict }}
{{- if and (eq (index $annotations "meta.helm.sh/release-name" | default "") $.Release.Name) (ne (index $annotations "helm.sh/resource-policy" | default "") "keep") }}
crds.install: false would delete the CustomResourceDefinition {{ $plural }}.k8s.patoarvizu.dev and all its objects, since this release holds it: upgrade once with crds.install: true, which makes it stay
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
The Go operator's chart ran the webhook as the operator's account, this one as its own. Where the former one carries an AWS
role (IRSA; somebody put it there by hand, that chart could not), the webhook would lose it and deny every object. Nothing
else is refused: keys in variables and the annotations of kube2iam come from values, which both charts give to the webhook,
the role of a node stays what it is, and associations of Pod Identity cannot be seen from here (NOTES.txt says so).
*/}}
{{- define "kms-vault-operator.lostIdentity" }}
{{- $webhook := .Values.validatingWebhook }}
{{- $account := $webhook.serviceAccount }}
{{- $former := dig "spec" "template" "spec" "serviceAccountName" "" (lookup "apps/v1" "Deployment" .Release.Namespace "kms-vault-validating-webhook" | default dict) }}
{{- $isAnother := and $former (ne $former $account.name) $account.create (not $account.annotations) }}
{{- if and $webhook.enabled (ne $webhook.decrypt "off") $isAnother (not (include "kms-vault-operator.hasIdentity" .)) }}
{{- $key := "eks.amazonaws.com/role-arn" }}
{{- $role := dig "metadata" "annotations" $key "" (lookup "v1" "ServiceAccount" .Release.Namespace $former | default dict) }}
{{- if and $role (not (dig "metadata" "annotations" $key "" (lookup "v1" "ServiceAccount" .Release.Namespace $account.name | default dict))) }}
the webhook that is there runs as the service account {{ $former }}, whose AWS role {{ $role }} it decrypts with; as {{ $account.name }} it would have none, and deny every object: set validatingWebhook.serviceAccount.annotations: {{ dict $key $role | toJson }} and let the role trust {{ $account.name }}, or validatingWebhook.serviceAccount.name: {{ $former }}
{{- end }}
{{- end }}
{{- end }}

{{/* "true" where values may give the webhook an AWS identity of its own: variables, or files that variables name. */}}
{{- define "kms-vault-operator.hasIdentity" -}}
{{- $webhook := .Values.validatingWebhook }}
{{- if or $webhook.extraEnvFrom $webhook.extraVolumes }}true{{ end }}
{{- range include "kms-vault-operator.webhookEnv" . | fromYamlArray }}
{{- if and (hasPrefix "AWS_" .name) (ne .name "AWS_REGION") }}true{{ end }}
{{- end }}
{{- end }}

{{- define "kms-vault-operator.saysHowToVerify" -}}
{{- if or (kindIs "bool" .Values.tls.enable) (kindIs "bool" .Values.vault.skipVerify) (hasPrefix "http://" .Values.vault.address) }}true{{ end }}
{{- range concat (.Values.authMethodVariables | default list) (.Values.extraEnv | default list) }}
{{- if has .name (list "VAULT_SKIP_VERIFY" "VAULT_CACERT" "VAULT_CAPATH") }}true{{ end }}
{{- end }}
{{- end }}

{{- define "kms-vault-operator.doesNotVerify" -}}
{{- range dig "spec" "template" "spec" "containers" list . }}
{{- range .env }}
{{- if and (eq .name "VAULT_SKIP_VERIFY") (has (.value | default "" | lower) (list "true" "t" "1")) }}true{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{/* How a variable is taken from the Secret that the first chart was told; what else stands there may be the secret itself. */}}
{{- define "kms-vault-operator.fromSecret" -}}
{{- $given := kindIs "map" . | ternary . dict -}}
valueFrom: {secretKeyRef: {name: {{ $given.secretName | default "SECRET" }}, key: {{ $given.secretKey | default "KEY" }}}}
{{- end }}
