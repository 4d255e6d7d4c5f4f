"""The certificates of TLS mode Managed: the authority, the serving certificates, and which to issue, renew or replace.

Pure: the key generator and the current time are arguments. `reconcile` reads and writes the Secrets.
"""
