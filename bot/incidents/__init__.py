"""The life of an incident, and its timeline."""
