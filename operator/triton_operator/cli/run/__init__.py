"""`tritonctl run`."""
