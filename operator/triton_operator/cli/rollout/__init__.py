"""`tritonctl rollout`."""
