"""Who gets which message, and how the outbox is emptied."""
