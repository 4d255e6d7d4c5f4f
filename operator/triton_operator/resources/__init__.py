"""Pure builders of child objects: one file per kind, each returning the whole object as a visible literal."""
