"""What `resources` and the sidecar `proxy` agree on: paths in the pod, and the policy in the ConfigMap."""
