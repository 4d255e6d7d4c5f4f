"""`tritonctl privacy`."""
