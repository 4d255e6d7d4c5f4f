"""Serve a ModelDeployment on this machine, without a cluster: the CPU Triton as an ordinary process.

The code for pods is reused: `resources` renders configurations and flags, `prepare` checks and stages the models, and
`triton` reads the server's log. This folder adds the selection of a Python for Triton's stub processes, an environment
in the cache folder, ports on loopback, and the server process, which is removed completely at the end. `tritonctl run`
calls it.
"""
