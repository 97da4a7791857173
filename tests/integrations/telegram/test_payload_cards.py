"""Real payloads as Telegram shows them, and as a phone's notification cuts them."""

from __future__ import annotations

import pytest

from bot.integrations.telegram.html import TelegramText
from bot.integrations.telegram.incident_card import render_incident
from tests.fakes.telegram_html import read_html
from tests.notifications.payload import CARDS_ON_CALL
from tests.notifications.payloads import PAYLOADS
from tests.notifications.payloads_kube_prometheus import KUBE_PROMETHEUS

#: What a locked phone shows of a message.
_NOTIFICATION = 178


def shown(name: str) -> TelegramText:
    card = PAYLOADS[name].card("telegram", CARDS_ON_CALL)
    assert card.situation is not None
    return render_incident(card, card.situation, mention=True)


@pytest.mark.parametrize("name", PAYLOADS)
def test_every_payload_is_a_message_that_telegram_reads(name: str) -> None:
    text = shown(name)

    assert read_html(text.html).text == text.plain.replace('"show 42"', "show 42")


@pytest.mark.parametrize("name", KUBE_PROMETHEUS)
def test_a_locked_phone_says_how_bad_what_where_and_who_has_it(name: str) -> None:
    payload = KUBE_PROMETHEUS[name]
    what_and_where = payload.title.partition(": ")[0]

    seen = " ".join(shown(name).plain.split())[:_NOTIFICATION]

    assert payload.incident().severity.upper() in seen.split("#42")[0]
    assert f"#42 {what_and_where}" in seen
    assert "nobody has it yet" in seen
    assert "Ana Lima" in seen


MESSAGES = {
    "KubePersistentVolumeFillingUp": """\
🔴 CRITICAL #42 KubePersistentVolumeFillingUp db/data-pg-0: A volume is filling up.
nobody has it yet; on call: Ana Lima
since 24 Nov 03:02 UTC
The volume claimed by data-pg-0 in the namespace db is only 2.8% free.
namespace: db
persistentvolumeclaim: data-pg-0
node: ip-10-0-1-2""",
    "NodeFilesystemAlmostOutOfSpace": """\
🔴 CRITICAL #42 NodeFilesystemAlmostOutOfSpace 10.0.3.7:9100 /dev/nvme0n1p1 /var: Less than 3% of a disk is free.
nobody has it yet; on call: Ana Lima
2 firing, since 24 Nov 02:23 UTC
/dev/nvme0n1p1 at /var of 10.0.3.7:9100 has only 2.41% of its space left.
device: /dev/nvme0n1p1
mountpoint: /var
• 10.0.3.7:9100
• 10.0.3.8:9100""",
}


@pytest.mark.parametrize("name", MESSAGES)
def test_the_whole_message(name: str) -> None:
    assert shown(name).plain == MESSAGES[name]
