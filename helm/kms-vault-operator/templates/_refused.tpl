{{- define "kms-vault-operator.refused" }}{{ end }}
