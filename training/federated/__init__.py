"""Several parties train one model together, and no row of data leaves the party that holds it.

`run.together` divides the training rows among parties, starts a coordinator and one process per party, and returns the
weights they agreed on. The processes talk over gRPC (Flower): `coordinator` averages what the `party` processes send,
`masked` hides each single update from it, `private` adds noise that bounds what any update can tell about one row.
Needs the `[federated]` extra. docs/federated.md says what is shared and what these protections are worth.
"""
