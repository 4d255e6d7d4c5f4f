"""Checks of `spec.podTemplate`: what it may add to the serving pods without weakening them.

`check` is the entry point. `pod_fields`, `containers`, `security` and `volumes` each check a part, and `pod_facts` has
what they need to know about the rendered pod.
"""
