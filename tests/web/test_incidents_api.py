"""The API: who has access, what is shown, and that every error has one shape."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bot.core.plan import Outcome, Plan, PlanState, Proposal, Result, plan_bytes, plan_digest
from bot.core.run_state import State
from bot.store import plans as drawn_up
from bot.store import runs
from bot.store.runs import INTENDED, Run
from tests.web.edges import Ears, error_of, refusals
from tests.web.web_house import TOKEN, WebHouse

BEARER = {"Authorization": f"Bearer {TOKEN}"}
API = ["/api/incidents", "/api/audit", "/api/docs", "/api/openapi.json"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    with WebHouse(tmp_path_factory.mktemp("api"), channels={"slack": Ears("slack")}) as house:
        yield house


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    """A bot with a token for the API."""
    with WebHouse(tmp_path_factory.mktemp("locked"), api_token=TOKEN) as house:
        yield house


def test_an_incident_is_listed_and_shown_with_its_alerts_story_and_deliveries(house: WebHouse) -> None:
    number = house.fire("Shown", instance="db-7")

    listed = house.http.get("/api/incidents").json()["incidents"][0]
    shown = house.incident(number)

    assert (listed["id"], listed["severity"], listed["status"], listed["firing"]) == (number, "critical", "open", 1)
    assert listed["resolved_at"] is None
    assert set(listed) <= set(shown)
    assert shown["alerts"][0]["labels"]["instance"] == "db-7"
    assert [event["what"] for event in shown["events"]] == ["incident.opened"]
    owed = shown["deliveries"][0]
    assert (owed["channel"], owed["kind"], owed["state"], owed["sent_at"]) == ("slack", "card", "owed", None)
    assert {"owed_at", "attempts", "why_not"} <= set(owed)


def test_a_link_of_another_incident_is_not_followed(house: WebHouse) -> None:
    number = house.fire("Linked")
    mark = house.incident(number)["mark"]

    right = house.http.get(f"/api/incidents/{number}?mark={mark}")
    wrong = house.http.get(f"/api/incidents/{number}?mark=000000000000")

    assert right.json()["id"] == number
    assert (wrong.status_code, error_of(wrong)["code"]) == (404, "another_incident")
    assert "restored from a backup" in error_of(wrong)["message"]


def test_pages_of_the_list_join_without_a_gap(house: WebHouse) -> None:
    numbers = {house.fire(f"Paged{turn}") for turn in range(5)}

    first = house.http.get("/api/incidents?limit=3").json()
    second = house.http.get(f"/api/incidents?limit=200&before={first['next']}").json()

    ids = [one["id"] for one in first["incidents"] + second["incidents"]]
    assert len(first["incidents"]) == 3
    assert ids == sorted(ids, reverse=True)
    assert numbers <= set(ids)
    assert second["next"] is None


def test_the_list_can_be_asked_for_one_status(house: WebHouse) -> None:
    number = house.fire("Taken")
    house.say(f"ack {number}")

    open_ = house.http.get("/api/incidents?status=open&limit=200").json()["incidents"]
    taken = house.http.get("/api/incidents?status=acknowledged&limit=200").json()["incidents"]

    assert number not in {one["id"] for one in open_}
    assert [one["owner"] for one in taken if one["id"] == number] == ["local"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/incidents/999999", 404, "not_found"),
        ("/api/incidents/99999999999999999999999", 422, "not_valid"),
        ("/api/incidents/0", 422, "not_valid"),
        ("/api/incidents/abc", 422, "not_valid"),
        ("/api/incidents?status=closed", 422, "not_valid"),
        ("/api/incidents?limit=201", 422, "not_valid"),
        ("/api/incidents?before=-1", 422, "not_valid"),
        ("/api/incidents?sort=age", 422, "not_valid"),
        ("/api/incidents?sort=severity&status=resolved", 422, "not_valid"),
        ("/api/incidents?sort=severity&before=7", 422, "not_valid"),
        ("/api/incidents?after=0-7", 422, "not_valid"),
        ("/api/incidents?sort=severity&after=7", 422, "not_valid"),
        ("/nothing", 404, "not_found"),
        ("/api/", 404, "not_found"),
        ("/api/incidents/", 404, "not_found"),
        ("/pages/..%2f..%2fserver.py", 404, "not_found"),
        ("/pages/board.html", 404, "not_found"),
        ("/in/slack", 405, "method_not_allowed"),
        ("/console", 405, "method_not_allowed"),
    ],
)
def test_what_cannot_be_answered_says_so_in_one_shape(house: WebHouse, path: str, status: int, code: str) -> None:
    answer = house.http.get(path)

    assert answer.status_code == status
    error = error_of(answer)
    assert error["code"] == code
    assert "/api" not in error["message"]
    assert "/readyz" not in error["message"]


def test_a_method_that_is_not_taken_names_those_that_are(house: WebHouse) -> None:
    answer = house.http.delete("/api/incidents")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


def test_the_right_bearer_may_look_under_any_name_and_through_a_proxy(locked: WebHouse) -> None:
    proxied = {"Host": "vakhta.example.com", "X-Forwarded-For": "203.0.113.9"}

    answer = locked.http.get("/api/incidents", headers=BEARER | proxied)

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "authorization",
    ["Bearer wrong", "Bearer", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer eyJhbGciOiJub25lIn0.e30."],
)
def test_a_wrong_bearer_is_refused_even_at_the_machine_itself(locked: WebHouse, authorization: str) -> None:
    before = refusals(locked, "api")

    answer = locked.http.get("/api/incidents", headers={"Authorization": authorization} | locked.page())

    assert answer.status_code == 401
    assert error_of(answer)["code"] == "auth_invalid"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert refusals(locked, "api") == before + 1


@pytest.mark.parametrize("path", API)
def test_where_a_token_is_set_the_api_asks_for_it_at_the_machine_itself(locked: WebHouse, path: str) -> None:
    before = refusals(locked, "api")

    bare = locked.http.get(path)
    answers = [locked.http.get(path, headers=headers) for headers in (BEARER, locked.page())]

    assert (bare.status_code, error_of(bare)["code"]) == (401, "auth_required")
    assert "server.api_token" in error_of(bare)["message"]
    assert refusals(locked, "api") == before + 1
    assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.parametrize("more", [{"X-Forwarded-For": "203.0.113.9"}, {"Sec-Fetch-Site": "cross-site"}])
def test_the_pages_key_opens_nothing_to_who_is_elsewhere(locked: WebHouse, more: dict[str, str]) -> None:
    answer = locked.http.get("/api/incidents", headers=locked.page() | more)

    assert answer.status_code in {401, 403}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in (*API, "/", "/incidents/1", "/events", "/api/incidents/999999", "/nothing")),
        *(("GET", path) for path in ("/api/incidents?status=closed", "/readyz", "/livez", "/metrics")),
        *(("POST", path) for path in ("/api/incidents", "/console", "/in/slack")),
    ],
)
def test_no_answer_is_kept_by_whatever_it_passes(locked: WebHouse, method: str, path: str) -> None:
    for headers in ({}, BEARER, locked.page(), {"Host": "evil.example"}):
        with locked.http.stream(method, path, headers=headers) as answer:
            assert answer.headers["cache-control"] == "no-store", (answer.status_code, headers)


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP"])
@pytest.mark.parametrize("path", ["/", "/incidents/1", "/events", *API])
def test_a_request_that_was_forwarded_is_not_from_this_machine(house: WebHouse, header: str, path: str) -> None:
    answer = house.http.get(path, headers={header: "127.0.0.1", **house.page()})

    assert answer.status_code == 401
    assert error_of(answer)["code"] == "auth_required"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1"])
@pytest.mark.parametrize("path", ["/", "/events", "/api/incidents"])
def test_another_name_that_points_here_is_refused(house: WebHouse, host: str, path: str) -> None:
    answer = house.http.get(path, headers={"Host": host, **house.page()})

    assert answer.status_code == 400
    assert error_of(answer)["code"] == "bad_host"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "127.8.8.8"])
def test_a_name_of_this_machine_is_taken(house: WebHouse, host: str) -> None:
    answer = house.http.get("/api/incidents", headers={"Host": host})

    assert answer.status_code == 200


def test_the_contract_and_its_page_come_from_the_bot_alone(house: WebHouse) -> None:
    contract = house.http.get("/api/openapi.json").json()
    page = house.http.get("/api/docs")

    paths = {
        *("/api/audit", "/api/drills", "/api/incidents", "/api/incidents/{incident_id}", "/api/plans"),
        *("/api/runs", "/api/stores", "/api/rotas", "/api/rotas/{name}.ics"),
    }
    assert set(contract["paths"]) == paths
    assert "GET /api/incidents/{incident_id}" in page.text
    assert re.findall(r"https?://", page.text) == []
    assert "<script" not in page.text


def test_runs_are_shown_as_they_stand_with_their_reason_and_what_comes_next(house: WebHouse) -> None:
    number, run = house.fire("Acted"), "1a2b3c4d" * 4
    plan = Plan(
        target="prod/api", effect=("it goes from 3 to 6",), blast_radius="one dial", undo_command="turn prod/api 3"
    )
    body = plan_bytes("turn", "turn prod/api 6", plan)
    with house.store.begin() as tx:
        drawn = Proposal(
            handle=run, verb="turn", command="turn prod/api 6", requester="ana", channel="slack", incident_id=number,
            at=tx.now,
            approvals_needed=0, state=PlanState.APPROVED, plan=plan, digest=plan_digest(body),
        )  # fmt: skip
        drawn_up.put_plan(tx, drawn, body)
        made = Run(
            id=run, handle=run, by="ana", target="prod/api", state=INTENDED, token=1, lease_until=tx.now,
            began_at=tx.now, expected_state={},
        )  # fmt: skip
        runs.put_run(tx, made)
    going_on = house.incident(number)["runs"][0]["state"]
    ended = Outcome(
        result=Result.DONE,
        message="It is at 6.",
        undo_command="turn prod/api 3",
        degraded="Pod api-1: ImagePullBackOff.",
    )
    with house.store.begin() as tx:
        runs.end(tx, made, ended, revert_at=None, check_until=None)

    shown = house.incident(number)["runs"]
    (listed,) = [one for one in house.http.get("/api/runs").json()["runs"] if one["id"] == run]

    assert going_on == "running"
    assert shown == [listed]
    assert (listed["state"], listed["why"]) == ("done but not well", "Pod api-1: ImagePullBackOff.")
    assert listed["todo"] == "Repair prod/api, or undo the run: `undo 1a2b3c4d`."


def test_the_words_of_runs_are_in_the_contract(house: WebHouse) -> None:
    contract = house.http.get("/api/openapi.json").json()["components"]["schemas"]

    assert contract["State"]["enum"] == [*State]
    assert {"state", "why", "todo", "undone_by", "undone_at"} <= set(contract["RunOut"]["properties"])
