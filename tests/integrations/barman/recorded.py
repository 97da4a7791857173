"""What Barman 3.4 of Debian printed, run by hand with PostgreSQL 15 and a streaming archiver."""

CHECK_OK = (
    '{"main": {"archiver_errors": {"hint": "", "status": "OK"}, "backup_maximum_age": {"hint": "no last_backup_maximum_'
    'age provided", "status": "OK"}, "backup_minimum_size": {"hint": "22.1 MiB", "status": "OK"}, "compression_setting'
    's": {"hint": "", "status": "OK"}, "directories": {"hint": "", "status": "OK"}, "failed_backups": {"hint": "there '
    'are 0 failed backups", "status": "OK"}, "minimum_redundancy_requirements": {"hint": "have 1 backups, expected at '
    'least 0", "status": "OK"}, "pg_basebackup": {"hint": "", "status": "OK"}, "postgresql": {"hint": "", "status": "'
    'OK"}, "receive_wal_running": {"hint": "", "status": "OK"}, "replication_slot": {"hint": "", "status": "OK"}, '
    '"superuser_or_standard_user_with_backup_privileges": {"hint": "", "status": "OK"}, "wal_level": {"hint": "", '
    '"status": "OK"}}}'
)
#: With PostgreSQL down; it ended with 1.
CHECK_DOWN = (
    '{"main": {"archiver_errors": {"hint": "", "status": "OK"}, "directories": {"hint": "", "status": "OK"}, '
    '"minimum_redundancy_requirements": {"hint": "have 0 backups, expected at least 0", "status": "OK"}, '
    '"pg_basebackup_compatible": {"hint": "PostgreSQL version: None, pg_basebackup version: 15.18", "status": "FAILED"'
    '}, "pg_receivexlog_compatible": {"hint": "PostgreSQL version: None, pg_receivexlog version: 15.18", "status": "FA'
    'ILED"}, "postgresql": {"hint": "", "status": "FAILED"}, "receive_wal_running": {"hint": "See the Barman log file '
    'for more details", "status": "FAILED"}, "systemid_coherence": {"hint": "no system Id available", "status": "OK"}, '
    '"wal_maximum_age": {"hint": "no last_wal_maximum_age provided", "status": "OK"}}}'
)
LIST = (
    '{"main": [{"backup_id": "20261130T235645", "end_time": "Mon Nov 30 23:56:46 2026", "end_time_timestamp": "'
    '1796083006", "retention_status": "-", "size": "38.1 MiB", "size_bytes": 39907237, "status": "DONE", '
    '"tablespaces": [], "wal_size": "0 B", "wal_size_bytes": 0}]}'
)
#: After check-backup, which had ended with 0, of a backup one of whose segments was deleted.
LIST_WAITING = LIST.replace("DONE", "WAITING_FOR_WALS")
CHECK_BACKUP = "{}"
UNKNOWN_BACKUP = "{\"_ERROR\": [\"Unknown backup '20200101T000000' for server 'main'\"]}"
UNKNOWN_SERVER = '{"_ERROR": ["Unknown server \'nosuch\'"]}'
