"""PYTHONPATH=Benchmarks python3 -m unittest discover --start-directory Benchmarks/tests"""

import os
import pathlib
import subprocess
import tempfile
import unittest

import allocations

PROGRAM = r"""
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// So that no compiler leaves a call out.
static void *volatile kept;

int main(int argc, char **argv) {
    int times = atoi(argv[1]);
    for (int i = 0; i < times; i++) { kept = malloc(100); free(kept); }
    for (int i = 0; i < times; i++) { kept = calloc(10, 20); free(kept); }
    for (int i = 0; i < times; i++) { kept = malloc(1); kept = realloc(kept, 1000); free(kept); }
    for (int i = 0; i < times; i++) { kept = aligned_alloc(64, 128); free(kept); }
    for (int i = 0; i < times; i++) { void *memory; if (posix_memalign(&memory, 64, 64) == 0) free(memory); }
    for (int i = 0; i < times; i++) { kept = realloc(NULL, 10); free(kept); }
    void *memory;
    if (posix_memalign(&memory, 3, 64) == 0) return 2;
    // By a library, and never given back.
    for (int i = 0; i < times; i++) kept = strdup("in the C library");
    if (argc > 2) execl("/bin/sh", "sh", "-c", "exit 0", NULL);
    return argc > 2 ? 1 : 0;
}
"""


@unittest.skipUnless(allocations.c_compiler(), "there is no C compiler")
class CounterTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)
        folder = pathlib.Path(cls.directory.name)
        cls.library = allocations.counter(folder)
        (folder / "program.c").write_text(PROGRAM)
        cls.program = folder / "program"
        subprocess.run([allocations.c_compiler(), "-O0", "-fno-builtin", "-o", str(cls.program), str(folder / "program.c")],
                       check=True)

    def counts(self, times):
        path = pathlib.Path(self.directory.name) / f"counts-{times}"
        subprocess.run([str(self.program), str(times)], check=True,
                       env={**os.environ, "LD_PRELOAD": str(self.library), allocations.VARIABLE: str(path)})
        return allocations.counted(path)

    def test_each_way_to_ask_for_memory_is_counted_once_and_by_who_asks(self):
        found = allocations.difference(self.counts(10), self.counts(1010))
        self.assertEqual(found["program"], {
            "allocations": 6000, "reallocations": 1000, "frees": 6000,
            "bytes": 1000 * (100 + 200 + 1 + 1000 + 128 + 64 + 10)})
        self.assertEqual(found["libraries"]["allocations"], 1000)
        self.assertEqual(found["libraries"]["frees"], 0)

    def test_what_a_program_turns_into_or_starts_is_not_counted(self):
        path = pathlib.Path(self.directory.name) / "counts-of-another"
        subprocess.run([str(self.program), "1", "then another"], check=True,
                       env={**os.environ, "LD_PRELOAD": str(self.library), allocations.VARIABLE: str(path)})
        self.assertLess(sum(counts["allocations"] for counts in allocations.counted(path).values()), 50)

    def test_without_a_file_nothing_is_counted_and_the_program_runs(self):
        subprocess.run([str(self.program), "3"], check=True, env={**os.environ, "LD_PRELOAD": str(self.library)})


class ShareTests(unittest.TestCase):
    def test_shares_are_of_each_job_and_tell_what_is_kept(self):
        counts = {"program": {"allocations": 300, "reallocations": 20, "frees": 290, "bytes": 4000},
                  "libraries": {"allocations": 40, "reallocations": 0, "frees": 40, "bytes": 1000}}
        self.assertEqual(allocations.shares(counts, 10), {
            "allocations": 36, "by_program": 32, "by_libraries": 4, "bytes": 500, "kept": 1})

    def test_the_table_has_a_line_for_each_number_of_slots(self):
        each = {"slots": 5, "allocations": [60, 61.04, 62], "by_program": [56, 57, 58], "by_libraries": [4, 4, 4],
                "bytes": [12344, 12345, 12346], "kept": [0.1, 0.1, 0.1]}
        text = allocations.table({
            "jobs": 100, "runs": 3, "slots": [each, {**each, "slots": 50}],
            "idle": {"allocations": 72, "by_program": 60, "by_libraries": 12, "bytes": 21000, "kept": 3}})
        self.assertIn("| 5 | 61.0 (60.0 to 62.0) | 57.0 | 4.0 | 12,345 | 0.10 |", text)
        self.assertIn("| 50 | ", text)
        self.assertIn("Idle: 72 allocations a second", text)


if __name__ == "__main__":
    unittest.main()
