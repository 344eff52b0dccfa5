import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagrctl.training.batches import Batches, rate_at


def test_the_rate_decays_from_its_start_towards_zero() -> None:
    assert rate_at(0, 100, 0.5, 0.9) == 0.5
    assert rate_at(50, 100, 0.5, 0.9) == pytest.approx(0.5 * 0.5**0.9)
    assert 0 < rate_at(99, 100, 0.5, 0.9) < rate_at(98, 100, 0.5, 0.9) < 0.02
    assert rate_at(70, 100, 0.5, 0.0) == 0.5


@given(count=st.integers(1, 40), batch=st.integers(1, 12), epochs=st.integers(1, 4), data=st.data())
def test_starting_later_gives_the_rest_of_the_same_batches(
    count: int, batch: int, epochs: int, data: st.DataObject
) -> None:
    whole = list(Batches(count, batch, epochs, seed=3))
    start = data.draw(st.integers(0, len(whole)))
    rest = Batches(count, batch, epochs, seed=3, start=start)
    assert list(rest) == whole[start:]
    assert len(rest) == len(whole) - start


@given(count=st.integers(1, 40), batch=st.integers(1, 12))
def test_an_epoch_shows_each_sample_at_most_once_in_full_batches(count: int, batch: int) -> None:
    batches = list(Batches(count, batch, 1, seed=0))
    shown = [position for each in batches for position in each]
    assert all(len(each) == batch for each in batches)
    assert len(shown) == len(set(shown)) == count - count % batch
    assert all(0 <= position < count for position in shown)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    first, second = list(Batches(20, 20, 2, seed=0))
    assert sorted(first) == sorted(second)
    assert first != second
    assert list(Batches(20, 20, 1, seed=1)) != [first]
