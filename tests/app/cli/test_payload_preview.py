"""`vakhta check --payload`: what a payload would open, and how each channel would show it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.__main__ import main
from tests.alerts.alerts_of import alert, body

SETTINGS = """
sources: {alertmanager: {tokens: [t], templates: {title: "%s"}}}
services: [{name: payments, match: {namespace: payments}, on_call: [ana]}]
people: [{id: ana, name: Ana Lima, slack: U0AAAAAAA}]
server: {public_url: https://vakhta.example.com}
channels:
  console: {enabled: false}
  slack: {bot_token: xoxb-1, app_token: xapp-1, team_id: T1, channel: C0AAAAAAA, signing_secret: s}
  telegram: {token: "1:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", chat_id: -1001234567890}
  pagerduty: {routing_key: "12345678901234567890123456789012", severities: [critical]}
"""
LABELS = {"alertname": "KubePodCrashLooping", "namespace": "payments", "pod": "cart-1", "severity": "critical"}
PAYLOAD = body(alert(labels=LABELS, annotations={"summary": "Pod is crash looping.", "description": "It restarts."}))


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    (tmp_path / "vakhta.yaml").write_text(SETTINGS % "{{ name }} at {{ where }}")
    (tmp_path / "payload.json").write_bytes(PAYLOAD)
    return tmp_path / "vakhta.yaml"


def shown(settings: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str, str]:
    payload = settings.with_name("payload.json")
    code = main(["check", "--config", str(settings), "--payload", str(payload), *more])
    out, err = capsys.readouterr()
    return code, out, err


def test_each_channel_shows_the_title_the_card_and_the_page(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = shown(settings, capsys)

    parts = {part.partition("\n")[0]: part.partition("\n")[2] for part in out.split("\n== ")}
    assert code == 0
    assert "title     KubePodCrashLooping at payments/cart-1\n" in out
    assert "service   payments" in out
    assert parts.keys() >= {"pagerduty", "slack", "telegram"}
    for chat in ("slack", "telegram"):
        assert "#1 KubePodCrashLooping at payments/cart-1" in parts[chat].splitlines()[0]
        assert [
            word for word in ("CRITICAL", "Ana Lima", "It restarts.", "[Acknowledge]") if word not in parts[chat]
        ] == []
    page = json.loads(parts["pagerduty"])
    assert page["payload"]["summary"] == "KubePodCrashLooping at payments/cart-1"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ name.__class__ }}{{ labels.nosuch }}", "names only values that this alert does not have"),
        ("{% if labels.nosuch %}x{% endif %}", "it gives no text"),
        ("{{ (name | int) / 0 }}", "cannot be filled in"),
    ],
)
def test_a_template_that_gives_nothing_for_this_payload_is_said(
    settings: Path, capsys: pytest.CaptureFixture[str], template: str, why: str
) -> None:
    settings.write_text(SETTINGS % template)

    code, out, _ = shown(settings, capsys)

    assert code == 0
    assert "title     KubePodCrashLooping payments/cart-1: Pod is crash looping." in out
    assert f"The template for title was not used: {why}" in out


def test_an_incident_that_does_not_page_says_so(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings.with_name("payload.json").write_bytes(body(alert(labels=LABELS | {"severity": "warning"})))

    code, out, _ = shown(settings, capsys)

    assert code == 0
    assert "no page: channels.pagerduty.severities has no warning" in out


def test_a_payload_may_come_from_stdin(
    settings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(PAYLOAD)))

    assert main(["check", "--config", str(settings), "--payload", "-"]) == 0
    assert "title     KubePodCrashLooping" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("payload", "source", "why"),
    [
        (b"{", "alertmanager", "The body is not JSON"),
        (
            json.dumps(json.loads(PAYLOAD) | {"alerts": []}).encode(),
            "alertmanager",
            "The payload has no alert. It would open nothing.",
        ),
        (PAYLOAD, "grafana", "The settings have no source grafana. Nothing was read. Enabled: alertmanager."),
    ],
)
def test_what_cannot_be_shown_is_said(
    settings: Path, capsys: pytest.CaptureFixture[str], payload: bytes, source: str, why: str
) -> None:
    settings.with_name("payload.json").write_bytes(payload)

    code, out, err = shown(settings, capsys, "--source", source)

    assert (code, out) == (1, "")
    assert why in err


def test_a_file_that_is_not_there_is_said(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings.with_name("payload.json").unlink()

    code, _, err = shown(settings, capsys)

    assert code == 1
    assert "payload.json cannot be read: No such file or directory. Nothing was shown." in err


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ nam }}", "uses nam, which there is not; did you mean name?"),
        ("{{ name", "is not a template, line 1"),
        ("{% include 'x' %}", "must be a text with values: no macro"),
    ],
)
def test_a_template_that_cannot_work_is_a_fault_with_its_place(
    settings: Path, capsys: pytest.CaptureFixture[str], template: str, why: str
) -> None:
    settings.write_text(SETTINGS % template)

    code, out, err = shown(settings, capsys)

    assert (code, out) == (78, "")
    assert "vakhta.yaml:2:" in err
    assert f"sources.alertmanager.templates.title: {why}" in err
