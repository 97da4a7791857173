"""Whether a copy is closed to production, as far as that can be tried over HTTP.

A user of production is refused on the copy; and no table in it reads from, or writes to, what production uses.
"""

from __future__ import annotations

from bot.core.errors import Rejected
from bot.integrations.clickhouse.client import ClickHouseClient, compose, table_name
from bot.integrations.clickhouse.site import OWN_TABLES, ClickHouseSite


def readable_by_outsider(site: ClickHouseSite, copy: str) -> str:
    """How production could get at the copy, or the copy at production; "" if it cannot.

    Without `outsider` in the settings, the user `default` without a password is tried.
    """
    tables = site.tables(copy)
    reaching = [one.name for one in tables if not one.holds_data and one.name not in OWN_TABLES]
    reaching = [one for one in reaching if not one.startswith(".inner")]
    if reaching:
        return f"The copy has tables that read from or write to others: {', '.join(reaching)}."
    where = site.where
    user = where.outsider or "default"
    outsider = ClickHouseClient(where.url, user=user, password=where.outsider_password, timeout=where.timeout)
    for table in tables:
        try:
            outsider.value(compose("SELECT count() FROM <table>", table=table_name(copy, table.name)))
        except Rejected as refused:
            if refused.code == "no_entry":
                continue
            return f"Whether the user {user} can read the copy could not be found out: {refused.message}"
        return f"The user {user} can read {copy}.{table.name}."
    return ""
