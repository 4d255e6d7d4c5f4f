"""A ModelDeployment served on this machine, without a cluster: the CPU Triton as a plain process.

What a pod gets comes from the same code: `resources` renders the configurations and the flags, `prepare` checks the
models and lays them out, `triton` reads the server's log. Here is the rest: a Python that Triton's helper processes can
use, an environment for it under the cache folder, ports on loopback, and a process that leaves nothing behind.
`tritonctl run` calls it.
"""
