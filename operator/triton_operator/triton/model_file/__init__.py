"""A model's file: the archive and the signature inside it."""
