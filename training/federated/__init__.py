"""Federated training: several parties train one model together, and no row leaves the party that holds it.

`run.train` starts a coordinator and one process per party, and returns the final weights. The processes communicate
over gRPC (Flower). `coordinator` averages the updates that the `party` processes send, `masked` hides individual
updates from it, and `private` adds noise, which limits what an update reveals about a row. Needs the extra `federated`.
docs/federated.md describes what is shared and what these methods protect.
"""
