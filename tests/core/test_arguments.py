"""Arguments that are none are refused with their name and their value."""

import math

import pytest

from sumida._core.arguments import check_count, check_moment, is_at_least, refuse

HUGE = 10**400
"""More than a float can be."""


@pytest.mark.parametrize("value", [0, 0.0, True, 1.5, math.inf, HUGE])
def test_numbers_that_are_great_enough(value: float) -> None:
    """An int may be greater than any float."""
    assert is_at_least(value, 0)


@pytest.mark.parametrize("value", [-1, -0.5, math.nan, "1", b"1", None, [], object()])
def test_what_is_not(value: float) -> None:
    """No number is not great enough, whatever a comparison says."""
    assert not is_at_least(value, 0)


@pytest.mark.parametrize("value", [-1, math.nan, -HUGE])
def test_a_number_out_of_range_is_a_value_error(value: float) -> None:
    """The sentence has the name, the value and the range."""
    with pytest.raises(ValueError, match=f"^grace must be 0 or more, not {value}$"):
        refuse("grace", value, "0 or more")


@pytest.mark.parametrize("value", ["1", b"1", None, []])
def test_no_number_is_a_type_error(value: object) -> None:
    """The value is shown as it would be written, so that a string is seen as one."""
    with pytest.raises(TypeError) as caught:
        refuse("grace", value, "0 or more")

    assert str(caught.value) == f"grace must be a number, 0 or more, not {value!r}"


def test_moments() -> None:
    """Any number is one, save "not a number"."""
    for moment in (0, -1.5, math.inf, HUGE):
        check_moment("deadline", moment)

    with pytest.raises(ValueError, match="deadline must be a number of seconds"):
        check_moment("deadline", math.nan)
    with pytest.raises(TypeError, match=r"deadline must be a number.* not '1'"):
        check_moment("deadline", "1")  # type: ignore[arg-type]  # the mistake


def test_counts() -> None:
    """An int from the least on; a bool, or a float, counts nothing."""
    assert check_count("places", 0) == 0
    assert check_count("places", HUGE, least=1) == HUGE

    with pytest.raises(ValueError, match="places must be 1 or more, not 0"):
        check_count("places", 0, least=1)
    for value in (True, 1.0, math.nan, "1", None):
        with pytest.raises(TypeError, match=f"places must be an int, not {value!r}"):
            check_count("places", value)  # type: ignore[arg-type]  # the mistake
