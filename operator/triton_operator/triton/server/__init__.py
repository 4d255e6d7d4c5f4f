"""The Triton server: its command line, releases and log."""
