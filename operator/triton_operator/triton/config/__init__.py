"""A model's configuration: the typed form and its codecs, a summary, Triton's rules, and the defaults."""
