"""Who may say what, written by hand. Nothing here is computed from the rights: it is what they are held to.

Every verb is found by enumeration. A verb without a row here fails the build, and so does a row of a verb that no
longer exists. A cell is `yes` (done, answered or planned), `no` (denied by the rights) or `not` (allowed by the rights,
and refused for another reason).
"""

from __future__ import annotations

from typing import Literal, cast

from bot.core.request import UNKNOWN_PRINCIPAL, Principal

Cell = Literal["yes", "no", "not"]


def _one(name: str, *roles: str) -> Principal:
    return Principal(id=name, name=name.capitalize(), roles=frozenset(roles))


#: One person of each kind. The roles `turner`, `duty` and `rescue` are defined in `ground.py`.
KINDS: dict[str, Principal] = {
    "unlinked": UNKNOWN_PRINCIPAL,
    "revoked": _one("rex"),
    "viewer": _one("vic", "viewer"),
    "responder": _one("rae", "responder"),
    "approver": _one("abe", "approver"),
    "admin": _one("ada", "admin"),
    "on-call": _one("dia", "viewer", "duty"),
    "off-call": _one("ole", "viewer", "duty"),
    "glass": _one("gil", "viewer"),
    "asker": _one("ash", "viewer", "turner"),
}

_TABLE = """
           unlinked revoked viewer responder approver admin on-call off-call glass asker
abort      no       no      no     no        no       not   no      no       not   no
ack        no       no      no     yes       no       yes   yes     no       yes   no
approvals  no       no      yes    yes       yes      yes   yes     yes      yes   yes
assign     no       no      no     yes       no       yes   no      no       yes   no
autosync   no       no      no     no        no       not   no      no       not   no
backup     no       no      no     no        no       not   no      no       not   no
backups    no       no      not    not       not      not   not     not      not   not
break-glass no      no      no     yes       no       yes   no      no       yes   no
cordon     no       no      no     no        no       not   no      no       not   no
cutback    no       no      no     no        no       not   no      no       not   no
cutover    no       no      no     no        no       not   no      no       not   no
dr         no       no      not    not       not      not   not     not      not   not
drill      no       no      no     no        no       not   no      no       not   no
glass      no       no      yes    yes       yes      yes   yes     yes      yes   yes
help       no       yes     yes    yes       yes      yes   yes     yes      yes   yes
home       no       no      yes    yes       yes      yes   yes     yes      yes   yes
incidents  no       no      yes    yes       yes      yes   yes     yes      yes   yes
keep       no       no      no     no        no       yes   no      no       yes   yes
link       not      yes     yes    yes       yes      yes   yes     yes      yes   yes
no         no       no      no     no        yes      yes   no      no       yes   yes
note       no       no      no     yes       no       yes   no      no       yes   no
oncall     no       no      yes    yes       yes      yes   yes     yes      yes   yes
override   no       no      no     not       no       not   no      no       not   no
page       no       no      no     yes       no       yes   no      no       yes   no
pause      no       no      no     no        no       not   no      no       not   no
promote    no       no      no     no        no       not   no      no       not   no
reopen     no       no      no     yes       no       yes   no      no       yes   no
remove-copy no       no      no     no        no       not   no      no       not   no
remove-override no  no      no     not       no       not   no      no       not   no
resend     no       no      no     yes       no       yes   no      no       yes   no
resolve    no       no      no     yes       no       yes   yes     no       yes   no
restore    no       no      no     no        no       not   no      no       not   no
resume     no       no      no     no        no       not   no      no       not   no
retry      no       no      no     no        no       not   no      no       not   no
review-glass no     no      no     no        not      not   no      no       not   no
restart    no       no      no     no        no       not   no      no       not   no
rollback   no       no      no     no        no       not   no      no       not   no
runs       no       no      no     yes       no       yes   no      no       yes   yes
scale      no       no      no     no        no       not   no      no       not   no
services   no       no      yes    yes       yes      yes   yes     yes      yes   yes
settle     no       no      no     no        no       yes   no      no       yes   no
severity   no       no      no     yes       no       yes   no      no       yes   no
show       no       no      yes    yes       yes      yes   yes     yes      yes   yes
silence    no       no      no     yes       no       yes   no      no       yes   no
silences   no       no      yes    yes       yes      yes   yes     yes      yes   yes
status     no       no      not    not       not      not   not     not      not   not
turn       no       no      no     no        no       yes   yes     no       yes   yes
undo       no       no      no     no        no       yes   no      no       yes   yes
unack      no       no      no     yes       no       yes   no       no       yes   no
uncordon   no       no      no     no        no       not   no      no       not   no
unlink     no       yes     yes    yes       yes      yes   yes     yes      yes   yes
unsilence  no       no      no     yes       no       yes   no      no       yes   no
whoami     no       yes     yes    yes       yes      yes   yes     yes      yes   yes
yes        no       no      no     no        yes      yes   no      no       yes   not
"""

#: An example of each verb, well formed; what is in braces is of the ground's own plans, runs and silences.
SAID: dict[str, str] = {
    "abort": "abort prod/api",
    "ack": "ack 1",
    "approvals": "approvals",
    "assign": "assign 1 vic",
    "autosync": "autosync prod/api off",
    "backup": "backup prod/orders-db",
    "backups": "backups prod/orders-db",
    "break-glass": "break-glass because nobody who could approve answers",
    "cordon": "cordon main/node-1",
    "cutback": "cutback {run}",
    "cutover": "cutover {run}",
    "dr": "dr prod/api",
    "drill": "drill prod/orders",
    "glass": "glass",
    "help": "help",
    "home": "home",
    "incidents": "incidents",
    "keep": "keep {run}",
    "link": "link",
    "no": "no {plan}",
    "note": "note 1 it is the cache",
    "oncall": "oncall",
    "override": "override orders @ash 2h",
    "page": "page prod/api because it is down",
    "pause": "pause prod/api",
    "promote": "promote prod/api",
    "reopen": "reopen 1",
    "remove-copy": "remove-copy {run}",
    "remove-override": "remove-override 3f9a2b1c",
    "resend": "resend 1",
    "resolve": "resolve 1",
    "restore": "restore prod/orders-db",
    "resume": "resume prod/api",
    "retry": "retry prod/api",
    "severity": "severity 1 warning",
    "review-glass": "review-glass vic because it was needed",
    "restart": "restart prod/api",
    "rollback": "rollback prod/api",
    "runs": "runs",
    "scale": "scale prod/api 6",
    "services": "services",
    "settle": "settle {unknown} done because I looked",
    "show": "show 1",
    "silence": "silence service=api for 1h because deploy",
    "silences": "silences",
    "status": "status prod/api",
    "turn": "turn prod/api 6",
    "undo": "undo {run}",
    "unack": "unack 1",
    "uncordon": "uncordon main/node-1",
    "unlink": "unlink telegram",
    "unsilence": "unsilence {silence}",
    "whoami": "whoami",
    "yes": "yes {plan}",
}


def expected() -> dict[tuple[str, str], Cell]:
    """(verb, kind of person) -> result. A row that is too short or too long is an error."""
    head, *rows = (line.split() for line in _TABLE.strip().splitlines())
    return {(verb, kind): cast("Cell", cell) for verb, *cells in rows for kind, cell in zip(head, cells, strict=True)}
