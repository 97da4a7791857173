"""The nouns and protocols that every package speaks of."""
