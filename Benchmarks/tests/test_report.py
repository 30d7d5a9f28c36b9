"""PYTHONPATH=Benchmarks python3 -m unittest discover --start-directory Benchmarks/tests"""

import unittest
import xml.etree.ElementTree as xml

import report

SVG = "{http://www.w3.org/2000/svg}"


def results(*measures, peers=()):
    return {
        "date": "2026-01-31", "rounds": 3, "postgres": "15.1",
        "machine": {"cores": 2, "processor": "Some <fast> & fine CPU", "memory_gigabytes": 8, "kernel": "6.1"},
        "peers": [{"name": name, "version": "1.0", "durability": "strict", "settings": "default"} for name in peers],
        "measures": [{"id": identifier, "title": title, "unit": "per s", "values": values}
                     for identifier, title, values in measures],
    }


class TableTests(unittest.TestCase):
    def line(self, text, title):
        line = next(line for line in text.splitlines() if line.startswith(f"| {title} |"))
        return [cell.strip() for cell in line.strip("|").split("|")]

    def test_a_line_tells_medians_their_spread_and_the_ratio_to_the_bound(self):
        text = report.table(results(("drain_5", "jobs", {"jobworker": [3, 1, 2], "bound": [4, 4, 4]})))
        self.assertEqual(self.line(text, "jobs"), ["jobs", "per s", "2.00 (1.00 to 3.00)", "4.00", "0.50"])

    def test_each_peer_has_a_column_which_is_empty_where_it_was_not_measured(self):
        text = report.table(results(
            ("drain_5", "jobs", {"jobworker": [1], "slow": [0.5]}), ("drain_500", "many", {"jobworker": [1]}),
            peers=["slow"]))
        self.assertEqual(self.line(text, "jobs")[-1], "0.50")
        self.assertEqual(self.line(text, "many")[-1], "")
        self.assertIn("slow is strict: default.", text)

    def test_every_line_has_as_many_cells_as_the_head(self):
        text = report.table(results(("a", "one | two", {"jobworker": [1]}), ("b", "b", {"bound": [2]}), peers=["p", "q"]))
        counts = {line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")}
        self.assertEqual(len(counts), 1)

    def test_a_bound_of_nothing_gives_no_ratio(self):
        text = report.table(results(("a", "a", {"jobworker": [1], "bound": [0]})))
        self.assertEqual(self.line(text, "a")[4], "")

    def test_numbers_have_three_digits_or_all_before_the_point(self):
        self.assertEqual([report.number(value) for value in (0.123, 9.87, 45.67, 123.4, 45678.9)],
                         ["0.12", "9.87", "45.7", "123", "45,679"])

    def test_the_head_figures_replace_what_is_between_the_marks_of_the_readme(self):
        readme = "before\n<!-- begin benchmarks: by a script -->\nold\n<!-- end benchmarks -->\nafter\n"
        once = report.adopted(readme, results(
            ("drain_5", "jobs", {"jobworker": [1]}), ("latency_max", "left out", {"jobworker": [1]})))
        self.assertTrue(once.startswith("before\n<!-- begin") and once.endswith("<!-- end benchmarks -->\nafter\n"))
        self.assertIn("| jobs |", once)
        self.assertIn(report.PICTURE, once)
        self.assertNotIn("old", once)
        self.assertNotIn("left out", once)
        self.assertEqual(report.adopted(once, results(("drain_5", "jobs", {"jobworker": [1]}))), once)

    def test_a_readme_without_the_marks_is_an_error(self):
        with self.assertRaises(ValueError):
            report.adopted("nothing", results())


class PictureTests(unittest.TestCase):
    MEASURES = [("drain_5", "jobs", {"jobworker": [50, 40, 60], "bound": [100], "a <b> & c": [25]}),
                ("latency_p50", "start", {"jobworker": [1.5], "bound": [1]})]

    def bars(self, text):
        return {bar.get("class"): float(bar.get("width")) for bar in xml.fromstring(text).iter(f"{SVG}rect")}

    def test_it_is_well_formed_whatever_the_names(self):
        root = xml.fromstring(report.picture(results(*self.MEASURES)))
        self.assertEqual(root.tag, f"{SVG}svg")
        texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
        self.assertIn("a <b> & c", texts)

    def test_a_bar_is_as_long_as_its_median_says(self):
        bars = self.bars(report.picture(results(self.MEASURES[0])))
        self.assertAlmostEqual(bars["ours"] / bars["bound"], 0.5, places=2)
        self.assertAlmostEqual(bars["peer"] / bars["bound"], 0.25, places=2)

    def test_all_of_it_lies_within_its_frame(self):
        root = xml.fromstring(report.picture(results(*self.MEASURES)))
        height = float(root.get("height"))
        for bar in root.iter(f"{SVG}rect"):
            self.assertLessEqual(float(bar.get("y")) + float(bar.get("height")), height)
            self.assertLessEqual(float(bar.get("x")) + float(bar.get("width")), float(root.get("width")))
        self.assertGreater(height, 0)

    def test_rates_name_the_durability_class_of_each(self):
        root = xml.fromstring(report.picture(results(("drain_5", "jobs", {"jobworker": [1], "other": [2]}), peers=["other"])))
        texts = [text.text for text in root.iter(f"{SVG}text")]
        self.assertIn("jobworker, strict", texts)
        self.assertIn("other, strict", texts)

    def test_it_has_colours_for_dark_pages_too(self):
        self.assertIn("prefers-color-scheme: dark", report.picture(results(*self.MEASURES)))

    def test_what_was_not_measured_is_left_out(self):
        root = xml.fromstring(report.picture(results(("drain_5", "jobs", {"jobworker": []}))))
        self.assertEqual(list(root.iter(f"{SVG}rect")), [])


if __name__ == "__main__":
    unittest.main()
