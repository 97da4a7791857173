"""Whether the audit log is as it was written, found out as a stranger would.

Nothing here shares a line with what writes the log: no store, no model, no encoder. What is read comes by plain
statements out of the database, or out of an export, and the rules are those of docs/audit.md. The one thing handed in
is a function that checks an Ed25519 signature.

Reading order: `form` (one body), `tree` (all of them), `note` (a signed checkpoint), `evidence` (where rows come from),
`inspecting` (the walk), `stretches` (how a long log is divided), `report` (what was found).
"""
