"""Deliveries of alerts become changes of incidents."""
