"""The demo: predictions of a trained model on a local cluster, starting from an empty machine.

`make demo` and `make demo-down` run `python -m hack.demo up` and `down`. A second run reuses everything from the first,
and an interrupted run can be continued.
"""
