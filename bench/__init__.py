"""The load generators and the side-by-side measurements: `python -m bench`.

Every rate is taken beside its peer in the same run on the same machine, so that ratios can be quoted; absolutes cannot.
"""
