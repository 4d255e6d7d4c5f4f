"""Decisions: what should exist, what to do about it, and what to tell the user. No Kopf, no HTTP."""
