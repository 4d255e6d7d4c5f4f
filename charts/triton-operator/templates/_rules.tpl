{{/* What the operator may do where it works, as rules of a Role or a ClusterRole. No Secret is among it: serving pods
refer to pull secrets by name. */}}
{{- define "triton-operator.rules" -}}
# The objects it works for. Users' objects are read; only their status is written.
- apiGroups: [triton-operator.io]
  resources: [modeldeployments]
  verbs: [get, list, watch]
- apiGroups: [triton-operator.io]
  resources: [modeldeployments/status]
  verbs: [patch]
# Children: made and mended by server-side apply (create and patch), replaced where somebody added parts (update).
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
# Claims that cache models, and the Jobs that fill them: made and labelled by server-side apply, never replaced.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
# What the status is made of.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# A config or a cache is kept as long as a ReplicaSet refers to it.
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list]
# A volume that cannot be mounted shows only in the pod's Events; transitions of an object become Events about it.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, list]
{{- end -}}
