"""`tritonctl status`."""
