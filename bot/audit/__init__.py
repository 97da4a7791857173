"""The tamper-evident audit log: signed, sealed and anchored; `verify` checks it and shares nothing with the rest.

This file imports nothing: the verifier would lose its independence.
"""
