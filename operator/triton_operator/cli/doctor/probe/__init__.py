"""`tritonctl doctor --probe`: test whether the network enforces NetworkPolicies, and record the result."""
