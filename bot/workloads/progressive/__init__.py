"""Promotes a new version through the tool that splits its traffic: Argo Rollouts, Flagger, or an nginx canary."""
