"""`tritonctl logs`."""
