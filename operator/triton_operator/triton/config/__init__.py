"""A model's configuration: typed fields, codecs, Triton's own rules and the defaults."""
