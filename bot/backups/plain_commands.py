"""The commands of each engine's own tools that restore beside, for people whose bot is down. Pure.

The promise: they hold names, never secrets: only the values of the settings that are not secret are given to them. What
only the day itself can tell is written in capitals. They restore beside, as the bot does; nothing live is overwritten.
Sources: the manuals of pg_restore, pgBackRest, WAL-G, Barman, CloudNativePG, the AWS CLI, ClickHouse,
clickhouse-backup, Redis and Velero.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

_AURORA = "aurora"  #: of rds, where the store is a cluster
_RECOVERED = (
    '# wait until it says f; "accepting connections" alone is not the end of the recovery',
    "psql -h FOLDER -d postgres -Atc 'SELECT pg_is_in_recovery()'",
)
_COMMANDS: Mapping[str, Sequence[str]] = {
    "postgres": (
        "ls -1t {folder}/{files} | head",
        "# read it to its end first: a truncated archive still lists",
        "pg_restore -f /dev/null {folder}/ARCHIVE",
        "createdb -h HOST -U USER {database}_restore",
        "pg_restore -h HOST -U USER --exit-on-error -j {jobs} -d {database}_restore {folder}/ARCHIVE",
        "# roles and their passwords are not in the archive; when the copy is good, with the writers stopped:",
        'psql -h HOST -U USER -d postgres -c \'ALTER DATABASE "{database}" RENAME TO "{database}_old"\'',
        'psql -h HOST -U USER -d postgres -c \'ALTER DATABASE "{database}_restore" RENAME TO "{database}"\'',
    ),
    "pgbackrest": (
        "pgbackrest --stanza={stanza} --repo={repo} info",
        "# into a folder of its own; to a moment: --type=time --target='TIME+00' --target-action=promote",
        "pgbackrest --stanza={stanza} --repo={repo} --pg1-path=FOLDER --archive-mode=off restore",
        "pg_ctl -D FOLDER -o '-p 54329 -k FOLDER' -w start",
        *_RECOVERED,
    ),
    "walg": (
        "wal-g backup-list --detail",
        "wal-g backup-fetch FOLDER LATEST",
        "echo \"restore_command = 'wal-g wal-fetch %f %p'\" >> FOLDER/postgresql.auto.conf",
        "touch FOLDER/recovery.signal",
        "pg_ctl -D FOLDER -o '-p 54329 -k FOLDER' -w start",
        *_RECOVERED,
    ),
    "barman": (
        "barman list-backups {server}",
        "barman check-backup {server} latest",
        "barman restore --get-wal {server} latest FOLDER",
        "pg_ctl -D FOLDER -o '-p 54329 -k FOLDER' -w start",
        *_RECOVERED,
    ),
    "cnpg": (
        "kubectl -n {namespace} get cluster,backup,objectstore",
        "# a new Cluster, with another serverName for its own archive; leave recoveryTarget out for the newest",
        "kubectl -n {namespace} get cluster {name} -o yaml > restored.yaml",
        "# in it: metadata.name {name}-restore, spec.bootstrap.recovery.source {name}, spec.externalClusters",
        "kubectl -n {namespace} apply -f restored.yaml",
    ),
    "rds": (
        "aws rds describe-db-instances --db-instance-identifier {instance}",
        "# with the security groups, parameter group and class of the live one, which a restore does not take over",
        "aws rds restore-db-instance-to-point-in-time --use-latest-restorable-time \\",
        "  --source-db-instance-identifier {instance} --target-db-instance-identifier {instance}-restore",
        "aws rds wait db-instance-available --db-instance-identifier {instance}-restore",
    ),
    _AURORA: (
        "aws rds describe-db-clusters --db-cluster-identifier {cluster}",
        "aws rds restore-db-cluster-to-point-in-time --use-latest-restorable-time --restore-type full-copy \\",
        "  --source-db-cluster-identifier {cluster} --db-cluster-identifier {cluster}-restore",
        "# the cluster has no instance yet; with the security groups and parameter groups of the live one:",
        "aws rds create-db-instance --db-cluster-identifier {cluster}-restore --db-instance-class CLASS \\",
        "  --engine ENGINE --db-instance-identifier {cluster}-restore-1",
    ),
    "aws-backup": (
        "aws backup list-recovery-points-by-backup-vault --backup-vault-name {vault}",
        "aws backup get-recovery-point-restore-metadata --backup-vault-name {vault} --recovery-point-arn ARN",
        "# change the names in the metadata, so that it is restored beside",
        "aws backup start-restore-job --recovery-point-arn ARN --iam-role-arn ROLE --metadata file://metadata.json",
    ),
    "s3": (
        "aws s3api list-object-versions --bucket {bucket} --prefix '{prefix}' > versions.json",
        "# for each key, the newest version before the moment, copied beside:",
        "aws s3api copy-object --bucket {bucket} --key RESTORE/KEY --copy-source '{bucket}/KEY?versionId=VERSION'",
    ),
    "clickhouse": (
        'clickhouse-client --query "SELECT name, status, start_time FROM system.backup_log ORDER BY start_time DESC"',
        "clickhouse-client --query \"RESTORE DATABASE {database} AS {database}_restore FROM Disk('{disk}', 'NAME')\"",
        "# compare the counts of each table, then: EXCHANGE TABLES {database}.T AND {database}_restore.T",
    ),
    "clickhouse-backup": (
        "clickhouse-backup list remote",
        "clickhouse-backup restore_remote --restore-database-mapping={database}:{database}_restore NAME",
    ),
    "redis": (
        "redis-check-rdb RDB_FILE",
        "# with appendonly yes an empty append-only file would win over the RDB: start without it",
        "mkdir FOLDER && cp RDB_FILE FOLDER/dump.rdb",
        "redis-server --dir FOLDER --dbfilename dump.rdb --appendonly no --port 6390",
    ),
    "velero": (
        "velero -n {namespace} backup get",
        "velero -n {namespace} backup describe NAME --details   # volumes without a snapshot or upload come back empty",
        "velero -n {namespace} restore create --from-backup NAME --include-namespaces APP \\",
        "  --namespace-mappings APP:APP-restore",
    ),
}


def plain_commands(engine: str, named: Mapping[str, str]) -> list[str]:
    """The commands for a store of that engine. `named`: its settings that are not secret, as text."""
    known = defaultdict(lambda: "NAME", {key: value for key, value in named.items() if value})
    word = _AURORA if engine == "rds" and known.get("cluster") else engine
    return [one.format_map(known) for one in _COMMANDS.get(word, ())]
