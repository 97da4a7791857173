"""The tamper-evident audit log: sealed, signed and anchored. `verify` checks it and shares no code with the rest.

This file must import nothing, or the verifier would lose its independence.
"""
