"""One folder for each outside system. Nothing is imported here, so reading the settings loads no SDK."""
