"""What no control protects against.

docs/privacy.md has the same statements; a test keeps them equal, because the page is not part of the package.
"""

from __future__ import annotations

from triton_operator.cli.privacy.report import Limit

NOT_COVERED = (
    Limit(
        "Root on the node.",
        "This includes everything that can become root there: privileged pods, hostPath volumes, access to the "
        "container runtime, and permission to debug nodes (kubectl debug node/…). Root can read the memory of Triton "
        "and of the proxy, with all tensors, models and keys.",
    ),
    Limit(
        "Memory and disks of the node.",
        "Data in memory is not encrypted unless the hardware does it. Do not use swap, and encrypt the disks of nodes, "
        "because downloaded models are stored there, unless they are encrypted models.",
    ),
    Limit(
        "Administrators of the cluster.",
        "This includes everyone who can change ModelDeployments, pods, NetworkPolicies, Secrets, ConfigMaps or "
        "ServiceAccounts in the namespace, or read Secrets there. Anyone who can create pods in the namespace can call "
        "the models unless clients is set, and can use each ServiceAccount of the namespace, including one that is "
        "admitted as a caller.",
    ),
    Limit(
        "Users who can forward ports to pods, or execute commands in them.",
        "NetworkPolicy, TLS, callers and audit log do not apply to their connections. tritonctl doctor lists who can "
        "forward ports.",
    ),
    Limit(
        "Side channels.",
        "The duration of a request and the size of a response depend on the input, on the load, and on other requests "
        "in the same batch. Models on the same node share caches and memory bandwidth. Use separate deployments, and "
        "nodes of their own, for callers that must not learn anything about each other.",
    ),
    Limit("Your own images and models.", "A model in Python is a program that sees every request."),
    Limit(
        "Personal data in texts.",
        "Masking takes place in the client or in a model, and the operator cannot see it, so no control and no report "
        "shows that texts are masked. The metric masked_total of the model shows that it masks, and callers can be "
        "restricted to the ensemble that masks.",
    ),
)
