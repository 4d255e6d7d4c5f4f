"""What `tritonctl doctor` looks at: evidence is gathered through kubectl, then judged without it."""
