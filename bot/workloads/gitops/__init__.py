"""What Argo CD would set back: conflicts with it, and its auto-sync."""
