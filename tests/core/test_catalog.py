"""Which service owns an alert: the first that fits, found without asking a thousand; and what depends on what."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.classification import service_of
from bot.core.catalog import Catalog, MatchIndex, Service, Team

_PAIRS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xyz"), max_size=3)


def catalog(*services: Service, default: str | None = None) -> Catalog:
    return Catalog(services=services, default=default)


@given(st.lists(_PAIRS, max_size=12), _PAIRS)
def test_the_index_finds_what_trying_one_after_the_other_finds(
    matches: list[dict[str, str]], labels: dict[str, str]
) -> None:
    one_by_one = next((n for n, match in enumerate(matches) if match and match.items() <= labels.items()), None)

    assert MatchIndex(matches).first(labels) == one_by_one


def test_of_a_thousand_services_an_alert_is_compared_with_a_few() -> None:
    shared = {"cluster": "eu", "environment": "production"}
    index = MatchIndex([{**shared, "namespace": f"team-{n // 10}", "app": f"app-{n}"} for n in range(1000)])

    assert index.first({**shared, "namespace": "team-99", "app": "app-999", "pod": "app-999-x"}) == 999
    assert index.first({**shared, "namespace": "other"}) is None
    assert index.compared == 1


def test_the_first_that_fits_wins_so_an_exception_stands_before_the_rule() -> None:
    narrow = Service(name="db", match={"namespace": "shop", "app": "db"})
    wide = Service(name="shop", match={"namespace": "shop"})

    assert service_of({"namespace": "shop", "app": "db"}, catalog(narrow, wide)) == "db"
    assert service_of({"namespace": "shop", "app": "db"}, catalog(wide, narrow)) == "shop"


def test_what_fits_no_service_is_the_default_ones_unless_its_own_label_names_a_service() -> None:
    shop = Service(name="shop", match={"namespace": "shop"})
    known = catalog(shop, Service(name="platform"), default="platform")

    assert service_of({"namespace": "other"}, known) == "platform"
    assert service_of({"namespace": "other", "service": "cache"}, known) == "platform"
    assert service_of({"namespace": "other", "service": "shop"}, known) == "shop"


def test_without_a_default_the_alerts_own_label_is_shown_as_before() -> None:
    shop = catalog(Service(name="shop", match={"namespace": "shop"}))

    assert service_of({"service": "cache"}, shop) == "cache"
    assert service_of({"namespace": "other"}, shop) is None


def test_a_service_without_labels_owns_no_alert_by_itself() -> None:
    assert service_of({"namespace": "other"}, catalog(Service(name="platform"))) is None


def test_dependencies_are_told_once_the_nearest_first_also_in_a_circle() -> None:
    circle = catalog(
        Service(name="shop", depends_on=("db", "queue")),
        Service(name="db", depends_on=("disk",)),
        Service(name="queue", depends_on=("disk", "shop")),
        Service(name="disk"),
    )

    assert list(circle.dependencies("shop", 10)) == [("db", "shop"), ("queue", "shop"), ("disk", "db")]
    assert list(circle.dependencies("shop", 2)) == [("db", "shop"), ("queue", "shop")]
    assert list(circle.dependencies(None, 10)) == []


def test_a_persons_services_are_those_of_their_teams() -> None:
    known = Catalog(
        services=(Service(name="shop", owner="web"), Service(name="db", owner="data"), Service(name="old")),
        teams=(Team(name="web", members=("ana",)), Team(name="data", members=("bo",))),
    )

    assert known.services_of("ana") == ["shop"]
    assert known.team("db") == Team(name="data", members=("bo",))
    assert known.team("old") is None
    assert known.team(None) is None
