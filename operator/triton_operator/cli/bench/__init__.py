"""`tritonctl bench`."""
