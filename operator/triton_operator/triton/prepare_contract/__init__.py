"""The interface between the operator and `prepare`: the request and the outcome."""
