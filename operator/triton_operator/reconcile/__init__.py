"""Decisions: what should exist, what to do about it, and what the status says. No Kopf, no HTTP."""
