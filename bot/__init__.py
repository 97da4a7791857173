"""Vakhta, an incident-response bot: alerts in, people notified, acknowledgements and actions on every channel.

An alert:    web/alerts -> alerts/intake -> (one commit: alerts, incident, events, outbox) -> 200
A message:   notifications/sender claims it from the outbox -> integrations/*/channel, at least once, in order
A command:   integrations/*/channel -> chatops/dispatcher -> commands/* -> incidents/lifecycle -> the same commit
An action:   chatops/dispatcher -> actions/approval -> actions/runner -> integrations/kubernetes -> actions/outcome

Read in this order: core/incident, core/channel, incidents/lifecycle, alerts/intake, notifications/sender,
store/transaction, then one channel. app/bot joins them all. `docs/map.md` is the map.
"""
