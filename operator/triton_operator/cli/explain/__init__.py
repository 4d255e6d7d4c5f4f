"""`tritonctl explain`."""
