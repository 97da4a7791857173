"""How Python itself is set for a process that answers in milliseconds and runs for months."""

from __future__ import annotations

import gc
import sys

#: Python gives a waiting thread its turn after this long; the default of 5 ms is a page's whole way out.
_SWITCH_S = 0.002
#: So many new objects are worth a look at whether they are garbage; a commit of many alerts makes thousands.
_YOUNG = 10_000


def set_up() -> None:
    """Before anything is loaded or started.

    What is loaded stays: looking again and again for garbage among it took a quarter of the start.
    """
    gc.disable()
    sys.setswitchinterval(_SWITCH_S)


def freeze_heap() -> None:
    """What was loaded so far stays for good: the garbage collector need not look through it again and again.

    A full collection over the SDKs held everything up for 50 ms and more, and was the slowest webhook in a hundred.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)
    gc.enable()
