"""A model's file: the archive and the signature in it."""
