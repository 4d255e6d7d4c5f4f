"""Access to the cluster for the commands."""
