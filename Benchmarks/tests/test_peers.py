import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "peers"))
import measure  # noqa: E402


class PercentileTests(unittest.TestCase):
    def test_it_is_the_smallest_value_that_so_many_per_cent_do_not_exceed(self):
        values = list(range(1, 101))
        self.assertEqual([measure.percentile(values, share) for share in (50, 90, 99)], [50, 90, 99])

    def test_few_values_have_the_largest_as_their_high_percentiles(self):
        self.assertEqual(measure.percentile([1, 2, 3], 99), 3)
        self.assertEqual(measure.percentile([7], 50), 7)


if __name__ == "__main__":
    unittest.main()
