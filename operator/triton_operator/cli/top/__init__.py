"""`tritonctl top`."""
