"""Vakhta, the watch: alerts in, people told, acknowledgements everywhere.

An alert:   web -> sources -> intake -> (one commit: alerts, incident, events, deliveries) -> 200
A message:  delivery claims what is owed -> channels -> closed, at least once, in order
A person:   channels -> intake (the door) -> incidents.change -> the same commit as above

Read in this order: model, ports, incidents, intake, delivery, store, then one channel; app joins them all.
`docs/map.md` draws the house.
"""
