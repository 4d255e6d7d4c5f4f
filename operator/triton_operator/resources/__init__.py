"""Pure builders of child objects: one file per kind. Each builder returns the entire object as a literal."""
