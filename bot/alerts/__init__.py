"""Turns deliveries of alerts into changes of incidents."""
