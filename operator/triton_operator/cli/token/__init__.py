"""`tritonctl token`."""
