{{/* Admission policies, written in CEL. They are created only if values enable them. */}}

{{/* Requests that policies for ModelDeployments evaluate: those that change the spec. Objects that exist before the policy
can still be labelled, scaled by the scale subresource, and deleted. */}}
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

{{/* Names in a ModelDeployment, as lists of strings. */}}
{{- define "triton-operator.deploymentVariables" -}}
- name: repositories
  expression: >-
    (has(object.spec.modelRepository) ? [object.spec.modelRepository] : []) +
    object.spec.models.filter(model, has(model.modelRepository)).map(model, model.modelRepository)
- name: template
  expression: >-
    has(object.spec.podTemplate) && has(object.spec.podTemplate.spec) ? [object.spec.podTemplate.spec] : []
- name: addedContainers
  expression: >-
    variables.template.size() == 0 ? [] : variables.template.map(pod, (has(pod.containers) ? pod.containers : []) +
    (has(pod.initContainers) ? pod.initContainers : []))[0]
- name: addedVolumes
  expression: >-
    variables.template.size() == 0 ? [] : variables.template.map(pod, has(pod.volumes) ? pod.volumes : [])[0]
- name: triggers
  expression: >-
    has(object.spec.autoscaling) && has(object.spec.autoscaling.metrics)
    ? object.spec.autoscaling.metrics.filter(each, has(each.trigger)).map(each, each.trigger) : []
# A TriggerAuthentication names Secrets, which KEDA sends to the address in the trigger. A policy cannot read it.
- name: authenticatedTriggers
  expression: >-
    variables.triggers.filter(each, has(each.authenticationRef))
    .map(each, 'TriggerAuthentication ' + each.authenticationRef.name + ' in spec.autoscaling')
# Names contain no comma; CEL cannot concatenate the lists in a list.
- name: addedSecrets
  expression: >-
    (variables.addedContainers.map(each, ((has(each.env) ? each.env : [])
    .filter(variable, has(variable.valueFrom) && has(variable.valueFrom.secretKeyRef))
    .map(variable, variable.valueFrom.secretKeyRef.name) + (has(each.envFrom) ? each.envFrom : [])
    .filter(source, has(source.secretRef)).map(source, source.secretRef.name)).join(',')) +
    variables.addedVolumes.map(each, ((has(each.secret) ? [each.secret.secretName] : []) +
    (has(each.csi) && has(each.csi.nodePublishSecretRef) ? [each.csi.nodePublishSecretRef.name] : []) +
    (has(each.projected) && has(each.projected.sources) ? each.projected.sources : [])
    .filter(source, has(source.secret)).map(source, source.secret.name)).join(',')))
    .join(',').split(',').filter(name, name != '')
- name: secrets
  expression: >-
    variables.addedSecrets + variables.repositories.filter(each, has(each.credentialsSecretRef)).map(each, each.credentialsSecretRef.name) +
    (has(object.spec.prepare) && has(object.spec.prepare.httpProxy) &&
    has(object.spec.prepare.httpProxy.credentialsSecretRef)
    ? [object.spec.prepare.httpProxy.credentialsSecretRef.name] : []) +
    (has(object.spec.imagePullSecrets) ? object.spec.imagePullSecrets.map(each, each.name) : []) +
    (has(object.spec.privacy) && has(object.spec.privacy.tls) && has(object.spec.privacy.tls.secretRef)
    ? [object.spec.privacy.tls.secretRef.name] : []) +
    (has(object.spec.decryption) && has(object.spec.decryption.secretRef)
    ? [object.spec.decryption.secretRef.name] : []) +
    (has(object.spec.exposure) && has(object.spec.exposure.ingress) && has(object.spec.exposure.ingress.tls) &&
    has(object.spec.exposure.ingress.tls.secretName) ? [object.spec.exposure.ingress.tls.secretName] : []) +
    (has(object.spec.env) ? object.spec.env.filter(each, has(each.valueFrom) && has(each.valueFrom.secretKeyRef))
    .map(each, each.valueFrom.secretKeyRef.name) : []) +
    (has(object.spec.envFrom) ? object.spec.envFrom.filter(each, has(each.secretRef))
    .map(each, each.secretRef.name) : [])
{{- end -}}

{{/* Additional privileges of containers: for each pod, a list of strings that name the container and the privilege. The
argument is a CEL expression that returns the pods' specs. */}}
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

{{/* The scope of policies for ModelDeployments, as part of a binding. */}}
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

{{/* "true" if values restrict what ModelDeployments may name. A list that is null restricts nothing, an empty list
allows nothing. */}}
{{- define "triton-operator.limitsDeployments" -}}
{{- $limited := .Values.policies.deployments.imagesByDigest -}}
{{- range list "images" "sources" "addresses" "secrets" "issuers" "serviceAccounts" "priorityClasses" "runtimeClasses" "serviceTypes" "exposedHosts" "exposureAnnotations" -}}
{{- if kindIs "slice" (get $.Values.policies.deployments .) -}}{{- $limited = true -}}{{- end -}}
{{- end -}}
{{- if $limited -}}true{{- end -}}
{{- end -}}
