"""One real Kubernetes node from packages alone, for machines without a container engine.

Everything runs below one process that has process, mount and network namespaces of its own: when it ends, every
process, mount and interface of the node is gone. There is no route out of the node's network.
"""
