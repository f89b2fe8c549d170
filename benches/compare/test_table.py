"""The pure part of the comparison: `python3 -B -m unittest discover -s benches/compare`."""

import sys
import unittest

sys.dont_write_bytecode = True

from measure.table import GIB, Run, markdown, rows


def run(program: str, number: int, seconds: float, cpu: float = 1.0, peak: int = 0, place: str = "loopback") -> Run:
    return Run("large", place, program, number, GIB, seconds, cpu, cpu, peak, peak)


class Table(unittest.TestCase):
    def test_a_ratio_is_of_medians_in_the_same_work_and_place(self) -> None:
        runs = [run("qshare", i, s) for i, s in enumerate((9.0, 2.0, 1.0))]
        runs += [run("rsync", i, s) for i, s in enumerate((3.0, 1.0, 8.0))]
        runs += [run("qshare", 0, 10.0, place="veth"), run("rsync", 0, 5.0, place="veth")]
        found = [(row.place, row.program, row.seconds, row.ratio) for row in rows(runs)]
        self.assertEqual(
            found,
            [
                ("loopback", "qshare", 2.0, 1.0),
                ("loopback", "rsync", 3.0, 1.5),
                ("veth", "qshare", 10.0, 1.0),
                ("veth", "rsync", 5.0, 0.5),
            ],
        )

    def test_ours_comes_first_then_the_fastest(self) -> None:
        runs = [run("scp", 0, 3.0), run("rsync", 0, 1.0), run("qshare", 0, 2.0)]
        self.assertEqual([row.program for row in rows(runs)], ["qshare", "rsync", "scp"])

    def test_processor_time_is_of_both_ends_and_memory_the_highest(self) -> None:
        row = rows([run("qshare", 0, 1.0, cpu=1.0, peak=5), run("qshare", 1, 1.0, cpu=2.0, peak=9)])[0]
        self.assertEqual((row.cpu, row.cpu_per_gib, row.client_peak), (3.0, 3.0, 9))

    def test_without_ours_there_is_no_ratio(self) -> None:
        self.assertIsNone(rows([run("rsync", 0, 1.0)])[0].ratio)

    def test_the_share_of_the_links_counts_payload(self) -> None:
        row = rows([Run("swarm", "links", "qshare", 0, 1_000_000_000, 20.0, allowed=500.0)])[0]
        self.assertAlmostEqual(row.of_links or 0, 0.8)

    def test_a_small_file_has_no_rate(self) -> None:
        row = rows([Run("start-up", "loopback", "qshare", 0, 1024, 0.03, 0.01, 0.01)])[0]
        self.assertEqual((row.rate, row.cpu_per_gib, row.cpu), (None, None, 0.02))

    def test_markdown_names_a_place_once_and_leaves_out_empty_columns(self) -> None:
        text = markdown(rows([Run("large", "lo", "qshare", 0, GIB, 2.0), Run("large", "lo", "scp", 0, GIB, 4.0)]))
        expected = """\
| work  | place | program | time s | MB/s | time / ours |
| ----- | ----- | ------- | -----: | ---: | ----------: |
| large | lo    | qshare  |  2.000 |  537 |        1.00 |
|       |       | scp     |  4.000 |  268 |        2.00 |"""
        self.assertEqual(text, expected)


if __name__ == "__main__":
    unittest.main()
