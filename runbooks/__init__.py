"""Runbooks: one Markdown file each. People read them; the bot does not run them yet."""
