"""The operator as a process: watches in, reconciles out. The only folder that knows Kopf."""
