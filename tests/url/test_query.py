from __future__ import annotations

import pytest

from terzetto.errors import InvalidUrl
from terzetto.url import QueryReader, parse_url


def reader(query: str) -> QueryReader:
    return QueryReader(parse_url(f"rist://host:5000?{query}"))


def test_parameters_are_taken_by_type() -> None:
    query = reader("buffer=1500&profile=main&weight=5&srp=yes&cname=me&ratio=0.5&compression=OFF")
    assert query.milliseconds("buffer", lo=50, hi=30_000) == 1.5
    assert query.choice("profile", {"simple": 0, "main": 1}) == 1
    assert query.integer("weight", 0, 100) == 5
    assert query.boolean("srp") is True
    assert query.boolean("compression") is False
    assert query.text("cname", max_bytes=127) == "me"
    assert query.number("ratio") == 0.5
    query.finish()


def test_what_the_url_does_not_have_is_none() -> None:
    query = reader("")
    assert query.milliseconds("a") is None
    assert query.choice("b", {"x": 1}) is None
    assert query.integer("c") is None
    assert query.boolean("d") is None
    assert query.text("e", max_bytes=1) is None
    assert query.number("f") is None
    query.finish()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("5x", "the parameter weight=5x cannot be; write a whole number from 0 to 100"),
        ("101", "whole number from 0 to 100"),
        ("-1", "whole number from 0 to 100"),
        ("", "whole number"),
        ("9" * 3000, "whole number"),
        ("²", "whole number"),
    ],
)
def test_a_number_that_is_none_or_too_large_is_refused(value: str, message: str) -> None:
    with pytest.raises(InvalidUrl, match=message) as caught:
        reader(f"weight={value}").integer("weight", 0, 100)
    assert len(str(caught.value)) < 200


def test_a_negative_number_is_one_where_it_is_allowed() -> None:
    assert reader("verbose-level=-1").integer("verbose-level", lo=-1) == -1


@pytest.mark.parametrize("value", ["nan", "inf", "x", "49", "30001", ""])
def test_a_duration_out_of_its_range_is_refused(value: str) -> None:
    with pytest.raises(InvalidUrl, match=r"the parameter buffer=.* write milliseconds from 50 to 30000"):
        reader(f"buffer={value}").milliseconds("buffer", 50, 30_000)


def test_ranges_are_told_as_far_as_they_go() -> None:
    with pytest.raises(InvalidUrl, match="of at least 3"):
        reader("a=1").integer("a", lo=3)
    with pytest.raises(InvalidUrl, match="of at most 3"):
        reader("a=5").number("a", hi=3)


def test_a_word_that_is_no_choice_is_refused_with_the_choices() -> None:
    with pytest.raises(InvalidUrl, match="write one of simple, main"):
        reader("profile=man").choice("profile", {"simple": 0, "main": 1})
    with pytest.raises(InvalidUrl, match="write 1 or 0"):
        reader("srp=maybe").boolean("srp")


def test_a_secret_that_is_too_long_is_not_shown() -> None:
    with pytest.raises(InvalidUrl, match="at most") as caught:
        reader("secret=hunter2hunter2").text("secret", max_bytes=5)
    assert "hunter2" not in str(caught.value)


def known(query: str) -> QueryReader:
    taken = reader(query)
    taken.text("secret")
    taken.milliseconds("buffer")
    taken.integer("weight")
    return taken


def test_a_misspelt_parameter_is_told_its_neighbour() -> None:
    with pytest.raises(InvalidUrl, match=r"no parameter 'bufer'; did you mean buffer=\?"):
        known("secret=x&bufer=1000").finish()


def test_a_strange_parameter_is_told_all_there_are() -> None:
    with pytest.raises(InvalidUrl, match="no parameter 'xyzzy'; there are buffer, secret, weight"):
        known("xyzzy=1").finish()


@pytest.mark.parametrize("query", ["secret=hun&ter2=1", "secret=x&%20ter2=1"])
def test_what_may_be_a_piece_of_a_secret_is_not_shown(query: str) -> None:
    with pytest.raises(InvalidUrl, match="write an '&' inside a value as %26") as caught:
        known(query).finish()
    assert "ter2" not in str(caught.value)
    assert "after 'secret'" in str(caught.value)
