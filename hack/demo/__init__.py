"""The demo: from nothing to predictions of a real model on a real cluster, and back to nothing.

`python -m hack.demo up` and `down`; the Makefile's `demo` and `demo-down`. A second run reuses all that the first one
made, and an interrupted one is picked up where it was.
"""
