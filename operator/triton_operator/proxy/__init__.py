"""The sidecar `proxy` of serving pods: HAProxy with TLS, an allow-list of APIs, callers, limits and an audit log.

Run as `python3 -m triton_operator.proxy`. Input: the policy (a ConfigMap) and the serving certificate (a Secret), both
read again when they change. Output: a running HAProxy in front of Triton, which listens on loopback only.
"""
