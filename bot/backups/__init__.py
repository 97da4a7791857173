"""Backups and restores: judging, restoring beside, cutting over, drills. It imports nothing, as `integrations` does."""
