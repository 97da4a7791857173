"""Hides the deprecation notices of packages from operators, who can do nothing about them.

Only for the command line: tests turn every warning into an error, and so the developers see each. Other warnings, such
as one about a connection that is not verified, are shown as Python is told to.
"""

from __future__ import annotations

import warnings

#: Not every package uses Python's own categories: pdpyras, boto3 and cryptography say it in others.
_SAID = r"(?s).*(deprecat|no longer (be )?(support|receive)|end.of.life|will be removed)"


def hide_deprecations() -> None:
    """For the rest of the process."""
    for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
        warnings.filterwarnings("ignore", category=category)
    warnings.filterwarnings("ignore", message=_SAID)
