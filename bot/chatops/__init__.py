"""A typed request: parsed, decided, answered."""
