"""An API request with a query parameter that the address does not know is refused, and says which was meant."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web.edges import error_of
from tests.web.web_house import TOKEN, WebHouse


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    with WebHouse(tmp_path_factory.mktemp("parameters")) as house:
        house.fire("Shown")
        yield house


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/api/incidents?stauts=open", "There is no query parameter 'stauts' at this address. Did you mean `status`?"),
        ("/api/incidents?Status=open", "There is no query parameter 'Status' at this address. Did you mean `status`?"),
        (
            "/api/incidents?limit=5&page=2",
            "no query parameter 'page' at this address. Known: status, limit, before, sort, after, counts.",
        ),
        ("/api/incidents?limt", "Did you mean `limit`?"),
        ("/api/incidents/1?marks=x", "Did you mean `mark`?"),
        ("/api/runs?limits=1", "Did you mean `limit`?"),
        ("/api/audit?incidents=1", "Did you mean `incident`?"),
        ("/api/docs?x=1", "There is no query parameter 'x' at this address. It takes none. Nothing was shown."),
        ("/api/openapi.json?x=1", "It takes none."),
        ("/api/incidents?%1b[31m=1", r"There is no query parameter '\\x1b[31m' at this address."),
        (f"/api/incidents?{'a' * 500}=1", f"There is no query parameter '{'a' * 40}' at this address."),
    ],
)
def test_it_is_named_with_the_nearest_that_there_is(house: WebHouse, path: str, message: str) -> None:
    answer = house.http.get(path)

    assert answer.status_code == 422
    assert error_of(answer)["code"] == "unknown_parameter"
    assert message in error_of(answer)["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/incidents?status=open&limit=5&before=99",
        "/api/incidents/1?mark=",
        "/api/runs?limit=1",
        "/api/audit?incident=1&since=2026-01-01T00:00:00Z&until=2027-01-01T00:00:00Z&code=VK101I&limit=1&before=9",
    ],
)
def test_every_known_one_is_taken(house: WebHouse, path: str) -> None:
    assert house.http.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/livez?verbose=1", "/readyz?verbose=1", "/metrics?name=x", "/?utm_source=mail"])
def test_a_probe_a_scraper_and_a_link_may_bring_their_own(house: WebHouse, path: str) -> None:
    assert house.http.get(path).status_code == 200


def test_who_may_not_look_learns_nothing_of_the_parameters(tmp_path_factory: pytest.TempPathFactory) -> None:
    with WebHouse(tmp_path_factory.mktemp("locked"), api_token=TOKEN) as locked:
        answer = locked.http.get("/api/incidents?stauts=open")

    assert (answer.status_code, error_of(answer)["code"]) == (401, "auth_required")
