"""`tritonctl doctor`: first gather evidence from the API server, then evaluate it."""
