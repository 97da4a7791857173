"""Routes events to channels, builds cards, and sends the messages of the outbox."""
