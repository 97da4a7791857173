"""The composition root, the command line and the scheduler.

This file imports nothing, so that `vakhta check` loads no SDK.
"""
