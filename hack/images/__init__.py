"""Container images of this repository, built with or without a container engine."""
