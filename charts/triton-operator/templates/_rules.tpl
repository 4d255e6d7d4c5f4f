{{/* Permissions of the operator, as rules of a Role or a ClusterRole. Of Secrets, they cover only the one with the serving
certificates: serving pods refer to users' Secrets by name. */}}
{{- define "triton-operator.rules" -}}
# ModelDeployments. The operator reads them and writes only their status.
- apiGroups: [triton-operator.io]
  resources: [modeldeployments]
  verbs: [get, list, watch]
- apiGroups: [triton-operator.io]
  resources: [modeldeployments/status]
  verbs: [patch]
# Children: created and corrected by server-side apply (create and patch), replaced if others added fields (update).
- apiGroups: [""]
  resources: [serviceaccounts, configmaps, services]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [apps]
  resources: [deployments, controllerrevisions]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, update, delete]
# Claims that cache models, and the Jobs that fill them: created and labelled by server-side apply, never replaced.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
{{- if .Values.rbac.certManager }}
# TLS mode CertManager: cert-manager writes the Secret, which the operator cannot read.
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [get, list, watch, create, patch, update, delete]
{{- end }}
{{- if .Values.rbac.keda }}
# `spec.autoscaling.provider: KEDA`: KEDA creates the HorizontalPodAutoscaler.
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, list, watch, create, patch, update, delete]
{{- end }}
{{- if .Values.rbac.exposure }}
# `spec.exposure`: Ingresses and routes of the Gateway API, which others have to install.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes, grpcroutes, backendtlspolicies]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [get, list, watch, create, patch, update, delete]
{{- end }}
# Read for the status. Patched so that the kubelet mounts a changed policy of the proxy at once.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
# A ConfigMap or a cache is kept as long as a ReplicaSet refers to it.
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list]
# Serving certificates of TLS mode Managed. A name cannot be given for `create`, which reads nothing.
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [triton-operator-serving]
  verbs: [get, list, watch, patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
# Failed mounts are reported only in Events of the pod; the operator creates Events for transitions of an object.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, list]
{{- end -}}
