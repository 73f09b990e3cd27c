import math

import pytest
from benchmarks.scale.figures import histogram_quantile, linear_fit, percentile


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.99, 5.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        ([float(number) for number in range(1, 101)], 0.99, 99.0),
        ([float(number) for number in range(1, 51)], 0.99, 50.0),
        ([2.0, 1.0], 0.0, 1.0),
        ([2.0, 1.0], 1.0, 2.0),
    ],
)
def test_a_percentile_is_a_value_that_enough_values_do_not_exceed(values, share, expected):
    assert percentile(values, share) == expected


def test_a_percentile_without_values_is_not_a_number():
    assert math.isnan(percentile([], 0.5))


@pytest.mark.parametrize(
    ("buckets", "share", "expected"),
    [
        ({0.1: 100, math.inf: 100}, 0.99, 0.099),
        ({0.1: 0, 0.5: 100, math.inf: 100}, 0.5, 0.3),
        ({0.1: 90, 0.5: 90, 1.0: 100, math.inf: 100}, 0.95, 0.75),
        ({0.1: 50, math.inf: 100}, 0.99, 0.1),
        ({0.1: 100, 0.5: 100, math.inf: 100}, 1.0, 0.1),
    ],
    ids=["first bucket", "second bucket", "empty bucket", "above the last bound", "maximum"],
)
def test_a_quantile_of_a_histogram_is_interpolated_in_its_bucket(buckets, share, expected):
    assert histogram_quantile(buckets, share) == pytest.approx(expected)


@pytest.mark.parametrize("buckets", [{}, {0.1: 0, math.inf: 0}])
def test_a_histogram_without_observations_has_no_quantile(buckets):
    assert math.isnan(histogram_quantile(buckets, 0.99))


def test_points_on_a_line_have_no_residuals():
    fit = linear_fit([(100, 12.0), (1000, 30.0), (10_000, 210.0)])
    assert (fit.slope, fit.intercept) == pytest.approx((0.02, 10.0))
    assert fit.residuals == pytest.approx((0, 0, 0), abs=1e-9)
    assert fit.worst == pytest.approx(0, abs=1e-9)


def test_quadratic_growth_has_large_residuals():
    fit = linear_fit([(100, 1.0), (1000, 100.0), (10_000, 10_000.0)])
    assert fit.worst > 1


def test_the_largest_size_does_not_hide_a_deviation_at_a_smaller_one():
    fit = linear_fit([(100, 1.0), (1000, 20.0), (3000, 30.0), (10_000, 100.0)])
    assert fit.worst > 0.4


@pytest.mark.parametrize(
    "points", [[], [(100, 1.0)], [(100, 1.0), (100, 2.0)], [(100, 0.0), (1, 0.0)]]
)
def test_a_fit_needs_two_sizes_with_a_value(points):
    assert linear_fit(points) is None
