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

{{/* Powers that containers of pods have beyond those that every container has: for each pod a list of text, of which
each names the container and the power. The argument is a CEL expression that gives the pods' specs. */}}
{{- define "triton-operator.powers" -}}
{{ . }}.map(pod, (pod.containers + (has(pod.initContainers) ? pod.initContainers : [])).map(each,
((has(each.ports) ? each.ports : []).filter(port, has(port.hostPort) && port.hostPort != 0)
.map(port, 'hostPort ' + string(port.hostPort)) +
(!has(each.securityContext) ? [] :
(has(each.securityContext.capabilities) && has(each.securityContext.capabilities.add)
? each.securityContext.capabilities.add.map(name, 'capability ' + name) : []) +
(has(each.securityContext.procMount) && each.securityContext.procMount != 'Default' ? ['procMount'] : []) +
(has(each.securityContext.seccompProfile) && each.securityContext.seccompProfile.type == 'Unconfined'
? ['seccompProfile'] : []) +
(has(each.securityContext.appArmorProfile) && each.securityContext.appArmorProfile.type == 'Unconfined'
? ['appArmorProfile'] : []))).map(power, each.name + ' ' + power).join('\n')).join('\n').split('\n')
.filter(power, power != ''))
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
