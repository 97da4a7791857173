"""Everything that the actions on Kubernetes are made of. The verbs in `commands/` combine these parts.

Most of it is pure: functions over objects as the API returns them. All access to a cluster goes through
`bot.core.kubernetes.Cluster`. The rules are those of the controllers themselves, read in their sources; each file
names its source.

Imports between the parts go one way, and no two subpackages import each other:

    rollback                        uses all of the below
    scale, progressive, describe    use the two rows below
    argo_rollouts, gitops           use objects
    cordon, restart, rbac           use objects
    objects                         uses none of the others
"""
