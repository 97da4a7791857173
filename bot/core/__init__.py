"""The nouns and protocols that every package uses. Pure: no clock, no database, no network."""
