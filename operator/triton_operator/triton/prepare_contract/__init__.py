"""What the operator and `prepare` exchange: the request and the outcome."""
