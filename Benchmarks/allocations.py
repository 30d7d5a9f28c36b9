#!/usr/bin/env python3
"""How often a worker asks the heap for memory: for each job without work, and while it is idle.

The worker is the program as it is; a small library that is loaded before it counts (allocations.c). What is counted is
the whole process between two looks, logs, heartbeats and metrics included, so that a job's share is a little more with
fewer jobs. Counts don't depend on how fast the machine is, only on how large the batches become.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from server import Server, Unavailable, ends_in_order
from workers import Fleet

SOURCE = pathlib.Path(__file__).with_name("allocations.c")
VARIABLE = "JOBWORKER_ALLOCATIONS"
FIELDS = ("allocations", "reallocations", "frees", "bytes")
ASKERS = ("program", "libraries")


def c_compiler():
    """Its path, or None."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def counter(directory):
    """The library that counts, built into the folder. Raises Unavailable where there is no C compiler."""
    compiler = c_compiler()
    if not compiler:
        raise Unavailable("there is no C compiler. Install one: apt-get install gcc libc6-dev")
    library = pathlib.Path(directory) / "allocations.so"
    done = subprocess.run(
        [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-fno-builtin", "-shared", "-fPIC", "-o", str(library), str(SOURCE)],
        capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"the library that counts can't be built:\n{done.stderr}")
    return library


def counted(path):
    """What a process has asked for so far, by who asked: {"program": {"allocations": …}, "libraries": …}."""
    values = struct.unpack("=8Q", pathlib.Path(path).read_bytes())
    return {asker: dict(zip(FIELDS, values[place * 4:place * 4 + 4])) for place, asker in enumerate(ASKERS)}


def difference(before, after):
    return {asker: {field: after[asker][field] - before[asker][field] for field in FIELDS} for asker in ASKERS}


def shares(counts, parts):
    """Of each of the parts: what is allocated, by the program and by libraries, how many bytes, and what is kept."""
    total = {field: sum(counts[asker][field] for asker in ASKERS) for field in FIELDS}
    asked = {asker: counts[asker]["allocations"] + counts[asker]["reallocations"] for asker in ASKERS}
    return {"allocations": sum(asked.values()) / parts, "by_program": asked["program"] / parts,
            "by_libraries": asked["libraries"] / parts, "bytes": total["bytes"] / parts,
            "kept": (total["allocations"] - total["frees"]) / parts}


def measure(program, slots=(5, 50, 500), jobs=20_000, runs=5, idle_seconds=20):
    """For each number of slots the shares of a job, a list with one for each run; and those of an idle second."""
    result = {"jobs": jobs, "runs": runs, "slots": []}
    with tempfile.TemporaryDirectory(prefix="jobworker-allocations-") as directory, \
            Server({"max_connections": 50}) as server:
        library = counter(directory)
        Fleet.prepare(program, server)
        for count in slots:
            path = pathlib.Path(directory) / f"counts-{count}"
            with Fleet(program, server, 1, count, environment={"LD_PRELOAD": str(library), VARIABLE: str(path)}) as fleet:
                if count == slots[0]:
                    # What belongs to the start is over.
                    time.sleep(5)
                    before = counted(path)
                    time.sleep(idle_seconds)
                    result["idle"] = shares(difference(before, counted(path)), idle_seconds)
                # Statements are prepared, and buffers have grown.
                fleet.drain(max(1, jobs // 10))
                found = []
                for _ in range(runs):
                    before = counted(path)
                    fleet.drain(jobs)
                    found.append(shares(difference(before, counted(path)), jobs))
            result["slots"].append({"slots": count, **{key: [each[key] for each in found] for key in found[0]}})
    return result


def table(result):
    lines = [f"Allocations of a job without work, medians of {result['runs']} runs of {result['jobs']:,} jobs (least to most)", "",
             "| slots | allocations | by the program | by libraries | bytes | kept |", "| --- | --- | --- | --- | --- | --- |"]
    for each in result["slots"]:
        middle = {key: statistics.median(values) for key, values in each.items() if key != "slots"}
        least, most = min(each["allocations"]), max(each["allocations"])
        lines.append(
            f"| {each['slots']} | {middle['allocations']:.1f} ({least:.1f} to {most:.1f}) | {middle['by_program']:.1f} | "
            f"{middle['by_libraries']:.1f} | {middle['bytes']:,.0f} | {middle['kept']:.2f} |")
    idle = result["idle"]
    lines += ["", f"Idle: {idle['allocations']:.0f} allocations a second, {idle['bytes']:,.0f} bytes, {idle['kept']:.1f} kept"]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=".build/release/jobworker", help="the jobworker to measure")
    parser.add_argument("--jobs", type=int, default=20_000, help="of each run")
    parser.add_argument("--slots", default="5,50,500", help="numbers of slots, each measured by itself")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    arguments = parser.parse_args()
    ends_in_order()
    try:
        slots = tuple(int(word) for word in arguments.slots.split(","))
    except ValueError:
        parser.error(f"--slots must be numbers with commas between them, not '{arguments.slots}'")
    if arguments.jobs < 1 or arguments.runs < 1 or min(slots) < 1:
        parser.error("--jobs, --runs and --slots must be 1 or more")
    if not os.access(arguments.program, os.X_OK):
        parser.error(f"there is no program {arguments.program}; build it, or name it with --program")
    try:
        result = measure(os.path.abspath(arguments.program), slots, arguments.jobs, arguments.runs)
    except Unavailable as problem:
        sys.exit(f"Cannot go on: {problem}")
    print(json.dumps(result, indent=1) if arguments.json else table(result))


if __name__ == "__main__":
    main()
