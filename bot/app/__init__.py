"""Everything built and joined: the composition root, the command line, the ticks.

This file imports nothing, so that `vakhta check` loads no SDK.
"""
