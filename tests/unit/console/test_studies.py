"""The order of the list of studies stands in its address."""

import pytest
from starlette.datastructures import QueryParams

from glam_node.node.console.studies import SearchForm
from glam_node.node.db.search import SortKey


@pytest.mark.parametrize("order", ["patient", "-patient", "study_date"])
def test_only_visitors_who_may_see_patients_sort_by_them(order: str) -> None:
    query = QueryParams({"order": order})
    assert SearchForm.of(query, identities=True).order == order
    assert SearchForm.of(query, identities=False).order == ""


@pytest.mark.parametrize(
    ("order", "column", "address", "sorted_by"),
    [
        ("", "received", "/?order=oldest", "descending"),
        ("oldest", "received", "/", "ascending"),
        ("oldest", "state", "/?order=state", ""),
        ("state", "state", "/?order=-state", "ascending"),
        ("-state", "state", "/?order=state", "descending"),
        ("state", "received", "/", ""),
    ],
)
def test_the_head_of_a_column_sorts_by_it_and_turns_the_order(
    order: str, column: str, address: str, sorted_by: str
) -> None:
    form = SearchForm(order=order)
    assert (form.turned(column), form.sorted_by(column)) == (address, sorted_by)


def test_an_order_that_is_not_known_is_that_of_the_last_image() -> None:
    assert SearchForm(order="nonsense").sort_key is SortKey.RECEIVED
