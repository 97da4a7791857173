"""Runbooks: one Markdown file each, read by people now, and by the bot once its runbook engine is there."""
