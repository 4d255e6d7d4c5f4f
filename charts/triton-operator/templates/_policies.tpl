{{/* Admission policies, written in CEL. They are made only where values ask for them. */}}

{{/* Which requests a policy about ModelDeployments looks at: those that change the spec. An object that was there before
the policy can still be labelled, scaled by its scale subresource, and deleted. */}}
{{- define "triton-operator.deploymentConstraints" -}}
failurePolicy: Fail
matchConstraints:
  resourceRules:
    - apiGroups: [triton-operator.io]
      apiVersions: ["*"]
      resources: [modeldeployments]
      operations: [CREATE, UPDATE]
matchConditions:
  - name: spec-changed
    expression: oldObject == null || object.spec != oldObject.spec
{{- end -}}

{{/* What a ModelDeployment names, as lists of text. */}}
{{- define "triton-operator.deploymentVariables" -}}
- name: repositories
  expression: >-
    (has(object.spec.modelRepository) ? [object.spec.modelRepository] : []) +
    object.spec.models.filter(model, has(model.modelRepository)).map(model, model.modelRepository)
- name: secrets
  expression: >-
    variables.repositories.filter(each, has(each.credentialsSecretRef)).map(each, each.credentialsSecretRef.name) +
    (has(object.spec.imagePullSecrets) ? object.spec.imagePullSecrets.map(each, each.name) : [])
{{- end -}}

{{/* Where policies about ModelDeployments hold, as part of a binding. */}}
{{- define "triton-operator.policyScope" -}}
validationActions: {{ .Values.policies.validationActions | toJson }}
{{- $selector := .Values.policies.namespaceSelector }}
{{- if eq .Values.scope "Namespace" }}
{{- $selector = dict "matchLabels" (dict "kubernetes.io/metadata.name" .Release.Namespace) }}
{{- end }}
{{- with $selector }}
matchResources:
  namespaceSelector:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{/* "true" where values limit what ModelDeployments may name. A list that is left out limits nothing, an empty one
allows nothing. */}}
{{- define "triton-operator.limitsDeployments" -}}
{{- $limited := .Values.policies.deployments.imagesByDigest -}}
{{- range list "images" "sources" "addresses" "secrets" "priorityClasses" "runtimeClasses" "serviceTypes" -}}
{{- if kindIs "slice" (get $.Values.policies.deployments .) -}}{{- $limited = true -}}{{- end -}}
{{- end -}}
{{- if $limited -}}true{{- end -}}
{{- end -}}
