"""Verifies that the audit log is as it was written, by code that is independent of the bot.

The promise: nothing here shares code with the writer of the log: no store, no model, no encoder. Rows are read by plain
SQL out of the database, or from an export, and the rules are those of docs/audit.md. Only the function that checks an
Ed25519 signature is passed in.

Reading order: `entry_format` (one entry), `merkle` (the tree over all entries), `signed_note` (a signed checkpoint),
`log_reader` (the source of rows), `verifier` (the pass over the log), `parallel` (how a long log is divided),
`report` (the findings).
"""
