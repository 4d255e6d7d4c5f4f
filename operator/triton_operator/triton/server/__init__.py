"""Triton's command line, releases and log."""
