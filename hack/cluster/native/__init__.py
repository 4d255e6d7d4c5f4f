"""Run one Kubernetes node from packages, for machines without a container engine.

All programs are descendants of one process, which has its own process, mount and network namespaces. When it exits, all
processes, mounts and interfaces of the node disappear. The node's network has no route to the outside.
"""
