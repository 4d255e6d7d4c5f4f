"""`tritonctl doctor`: evidence is gathered from the API server, then judged without it."""
