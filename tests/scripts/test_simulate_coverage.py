"""A small run of the coverage simulation: known differences lie in the intervals about as often as they should."""

import pytest

from scripts.simulate_coverage import coverage


@pytest.mark.parametrize(("seeds", "seed_points"), [(3, 0.0), (3, 6.0), (5, 6.0)])
def test_intervals_over_rows_and_seeds_hold_the_truth_about_95_percent_of_the_time(seeds, seed_points):
    found = coverage(120, rows=(120, 200, 150), seeds=seeds, seed_points=seed_points)
    assert 0.90 <= found.with_seeds <= 0.99  # 95 % of 120, two standard errors either side
    assert found.wrongly_within <= 0.10
    if seed_points:
        assert found.rows_only < found.with_seeds - 0.1
