#!/usr/bin/env python3
"""Measures jobworker, and with a Python environment of the peers these too, on a private PostgreSQL of its own.

Started by scripts/bench, which builds what is needed. In each round everything is measured once, one after another, and
each round begins with another one: what disturbs the machine hits all alike.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

import allocations
import herd
import report
import scale_out
from server import Server, Unavailable, ends_in_order

HERE = pathlib.Path(__file__).resolve().parent
OURS, BOUND = report.OURS, report.BOUND


class Sizes:
    """How much of everything; with --quick so little that the figures mean nothing."""

    def __init__(self, is_quick):
        self.rounds = 2 if is_quick else 5
        # Slots, processes, jobs.
        self.drains = [(5, 1, 20_000), (50, 1, 50_000), (500, 1, 50_000), (50, 2, 50_000), (50, 4, 50_000)]
        self.peer_drains = {"procrastinate": {5: 5_000, 50: 5_000}, "pgqueuer": {5: 5_000, 50: 30_000, 500: 50_000}}
        self.enqueued, self.clients = 100_000, 20
        self.latencies = 200
        self.idle_seconds = 10
        self.long_idle_seconds = 60
        self.memory_jobs = 1_000_000
        self.allocation_jobs = 20_000
        self.claim = ["--snapshot-seconds", "600"]
        if is_quick:
            self.drains = [(slots, processes, 1_000) for slots, processes, _ in self.drains]
            self.peer_drains = {name: {slots: 500 for slots in drains} for name, drains in self.peer_drains.items()}
            self.enqueued, self.clients = 2_000, 5
            self.latencies = 20
            self.idle_seconds, self.long_idle_seconds = 2, 5
            self.memory_jobs = 2_000
            self.allocation_jobs = 500
            self.claim = ["--claims", "20", "--finished", "50000", "--future", "10000", "--other-queues", "10000",
                          "--unserved", "2000", "--churned", "2000", "--snapshot-seconds", "2", "--retired", "100000"]


class Results:
    """What was measured, each measure with the values of all rounds."""

    def __init__(self, sizes):
        self.measures = {}
        self.sizes = sizes
        self.raw = []

    def add(self, identifier, title, unit, **values):
        measure = self.measures.setdefault(
            identifier, {"id": identifier, "title": title, "unit": unit, "values": {}})
        for actor, value in values.items():
            if value is not None:
                measure["values"].setdefault(actor, []).append(value)

    def document(self, postgres, program, peers):
        return {
            "date": datetime.date.today().isoformat(), "rounds": self.sizes.rounds, "machine": machine(),
            "postgres": postgres, "program": program, "peers": peers,
            "measures": list(self.measures.values()), "raw": self.raw,
        }


def machine():
    def first(path, prefix):
        with open(path) as file:
            return next((line.split(":", 1)[1].strip() for line in file if line.startswith(prefix)), "unknown")

    kilobytes = int(first("/proc/meminfo", "MemTotal").split()[0])
    return {"cores": os.cpu_count(), "processor": first("/proc/cpuinfo", "model name"),
            "memory_gigabytes": round(kilobytes / 1_048_576), "kernel": platform.release()}


def say(text):
    print(text, file=sys.stderr, flush=True)


def output_of(command, environment=None):
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
    if result.returncode:
        raise Unavailable(f"'{' '.join(command)}' ended with status {result.returncode}")
    return result.stdout


def once_more(command, environment):
    """The output; a failure is shown and tried again once, so that it doesn't cost the rounds that are done."""
    try:
        return output_of(command, environment)
    except Unavailable as problem:
        say(f"    {problem}; once more")
        return output_of(command, environment)


class Jobworker:
    """`jobworker bench`, one run at a time."""

    name = OURS

    def __init__(self, program, server, results):
        self.program, self.server, self.results = program, server, results
        self.sizes = results.sizes

    def bench(self, *arguments):
        words = [str(word) for word in arguments]
        answer = json.loads(once_more(
            [self.program, "bench", *words, "--json"], {"DATABASE_URL": self.server.url()}))
        self.results.raw.append({"command": words, "result": answer})
        return answer

    def drain(self, slots, processes, jobs):
        got = self.bench("throughput", "--runs", 1, "--jobs", jobs, "--max-concurrent", slots, "--processes", processes)
        of = "" if processes == 1 else f", {processes} processes"
        key = f"drain_{slots}" if processes == 1 else f"drain_{processes}x{slots}"
        self.results.add(key, f"jobs done, {slots} slots{of}", "per s",
                         **{OURS: got["jobs_per_second"]["p50"], BOUND: got["ceiling_with_rows_jobs_per_second"]["p50"]})
        if got.get("one_statement"):
            self.results.add(f"{key}_fused", f"the same, beside one statement that completes and claims, {slots} slots{of}",
                             "per s", **{OURS: got["jobs_per_second"]["p50"],
                                         BOUND: got["one_statement"]["jobs_per_second"]["p50"]})
        if processes > 1:
            return
        self.results.add(f"{key}_silent", f"the same without rows in `job_logs`, {slots} slots", "per s",
                         **{OURS: got["without_log_rows"]["jobs_per_second"]["p50"],
                            BOUND: got["ceiling_jobs_per_second"]["p50"]})
        if slots == 50:
            for whose in ("worker", "server"):
                self.results.add(f"cpu_{whose}", f"processor time of the {whose} per 1,000 jobs, 50 slots", "s",
                                 **{OURS: got[f"{whose}_cpu_seconds_per1000_jobs"]})
        self.results.add(f"peak_{slots}", f"peak resident memory, {slots} slots", "MB", **{OURS: got["peak_megabytes"]})

    def enqueue(self):
        got = self.bench("enqueue", "--runs", 1, "--jobs", self.sizes.enqueued, "--clients", self.sizes.clients)
        titles = {"one_by_one": "jobs added one by one",
                  "concurrent": f"jobs added by {self.sizes.clients} clients at once",
                  "batches": "jobs added in batches of 1,000"}
        for key, title in titles.items():
            self.results.add(f"enqueue_{key}", title, "per s", **{
                OURS: got[key]["measured"]["p50"], BOUND: got[key]["compared"]["p50"]})
        for state, words in (("idle_worker", "while a worker is idle"), ("saturated_worker", "while all slots are taken")):
            for key, title in titles.items():
                self.results.add(f"enqueue_{key}_{state}", f"{title}, {words}", "per s",
                                 **{OURS: got[state][key]["measured"]["p50"], BOUND: got[state][key]["compared"]["p50"]})

    def latency(self):
        got = self.bench("latency", "--jobs", self.sizes.latencies)
        for part, words in (("idle", "idle worker"), ("half_load", "half of the slots taken")):
            for share in ("p50", "p90", "p99", "max"):
                key = f"latency_{share}" if part == "idle" else f"latency_busy_{share}"
                self.results.add(key, f"insert to start of the job, {words}, {share}", "ms", **{
                    OURS: got[part]["milliseconds"][share], BOUND: got[part]["floor_milliseconds"][share]})
                self.results.add(f"{key}_bare", f"the same, beside a table with no index but its key, {words}, {share}", "ms", **{
                    OURS: got[part]["milliseconds"][share], BOUND: got[part]["bare_milliseconds"][share]})

    def idle(self):
        got = self.bench("idle", "--starts", 1, "--seconds", self.sizes.idle_seconds)
        self.results.add("start", "start of the process to its first job", "ms",
                         **{OURS: got["start_to_first_job_milliseconds"]["p50"]})
        self.results.add("ready", "start of the process to ready", "ms",
                         **{OURS: got["start_to_ready_milliseconds"]["p50"]})
        self.results.add("idle_memory", "resident memory, idle", "MB", **{OURS: got["resident_megabytes"]})
        self.results.add("idle_cpu", "processor, idle", "% of a core", **{OURS: got["cpu_percent"]})

    def once(self):
        """What takes too long to be done in each round."""
        # Its other figures are those of the rounds, as many as the peers have.
        got = self.bench("idle", "--starts", 1, "--seconds", self.sizes.long_idle_seconds)
        self.results.add("idle_transactions", "transactions, idle", "per min", **{OURS: got["transactions_per_minute"]})
        self.results.add("idle_connections", "connections, idle", "", **{OURS: got["connections"]})
        say("    memory")
        got = self.bench("memory", "--jobs", self.sizes.memory_jobs)
        self.results.add("memory_running", f"resident memory, {got['slots']} jobs running", "MB", **{OURS: got["running"]})
        self.results.add("memory_after", f"resident memory, after {got['jobs']:,} jobs", "MB", **{OURS: got["after"]})
        say("    allocations")
        self.count_allocations()
        say("    claims in full tables")
        for condition in self.bench("claim", *self.sizes.claim)["conditions"]:
            over = f" over {condition['seconds']} s" if condition["seconds"] else ""
            for key, words in (("claim", "claim of ten"), ("look", "look that finds nothing"),
                               ("poll", "timer's look, nothing to take")):
                for share in ("p50", "p99"):
                    self.results.add(
                        f"{key} {condition['name']} {share}", f"{words}, {condition['rows']:,} {condition['name']}{over}, {share}",
                        "ms", **{OURS: condition[key]["milliseconds"][share],
                                 BOUND: condition[key]["empty_milliseconds"][share]})


    def count_allocations(self):
        """On a server of its own, as the workers there are."""
        try:
            got = allocations.measure(self.program, jobs=self.sizes.allocation_jobs, runs=self.sizes.rounds)
        except Unavailable as reason:
            if allocations.c_compiler():
                raise
            say(f"    skipped: {reason}")
            return
        self.results.raw.append({"command": ["allocations"], "result": got})
        for each in got["slots"]:
            for key, title, unit in (("allocations", "allocations of a job without work", ""),
                                     ("bytes", "what they ask for", "bytes")):
                for value in each[key]:
                    self.results.add(f"{key}_{each['slots']}", f"{title}, {each['slots']} slots", unit, **{OURS: value})
        self.results.add("allocations_idle", "allocations of an idle worker", "per s", **{OURS: got["idle"]["allocations"]})


def add_scale_out(results, program, is_quick):
    """Measured once; the runs in it are those of the rounds."""
    got = scale_out.measure(program, is_quick)
    results.raw.append({"command": ["scale-out"], "result": got})
    both, idle, apart = got["many_and_one"], got["idle"], got["apart"]
    beside = f"{both['processes']} workers with {both['slots']} slots, beside one with {both['processes'] * both['slots']}"
    for many, one in zip(both["many_jobs_per_second"], both["one_jobs_per_second"]):
        results.add("scale_rate", f"jobs done, {beside}", "per s", **{OURS: many, BOUND: one})
    sessions = both["beside_pgbench"]
    results.add("scale_pgbench", f"jobs done, {both['processes']} workers with {both['slots']} slots, beside pgbench", "per s",
                **{OURS: sessions["jobs_per_second"], BOUND: sessions["pgbench_jobs_per_second"]})
    results.add("scale_claims", f"looks at the queue for {both['jobs']:,} jobs, {beside}", "", **{
        OURS: both["many_looks"], BOUND: both["one_looks"]})
    results.add("scale_connections", f"connections of a worker, {both['processes']} workers", "",
                **{OURS: both["connections_per_process"]})
    for point in idle["points"]:
        results.add(f"scale_idle_{point['workers']}", f"server's processor, {point['workers']} idle workers", "% of a core",
                    **{OURS: point["server_cpu_percent"]})
    results.add("scale_idle_1000", "server's processor, 1,000 idle workers, extrapolated", "% of a core",
                **{OURS: idle["thousand_workers_server_cpu_percent"]})
    last = idle["points"][-1]
    results.add("scale_herd", f"claims sent for a single job, {last['workers']} idle workers", "",
                **{OURS: last["claims_per_job"]})
    for rate in apart.get("jobs_per_second", []):
        results.add("scale_apart", "jobs done, workers in two network namespaces, each job exactly once", "per s",
                    **{OURS: rate})


def add_herd(results, program, is_quick):
    """Measured once; the bound is a single worker."""
    say("==> Many workers at the same moment")
    got = herd.measure(program, is_quick)
    results.raw.append({"command": ["herd"], "result": got})
    count = got["processes"]

    def add(key, title, unit, many, one):
        results.add(key, f"{title}, {count} workers beside one", unit, **{OURS: many, BOUND: one})

    for moment, words in (("start", "when all start"), ("outage", "when the server is back after a stop")):
        many, one = got[moment]["many"], got[moment]["one"]
        add(f"herd_{moment}_statements", f"statements of a worker {words}", "",
            sum(many["statements"].values()) / count, sum(one["statements"].values()))
    beyond = got["reaper"]["beyond_idle"]
    add("herd_reaper", f"server's processor to take back {got['stale']:,} jobs of a dead worker", "s",
        beyond["many"]["server_cpu_seconds"], beyond["one"]["server_cpu_seconds"])
    add("herd_reaper_statements", f"statements to take back {got['stale']:,} jobs of a dead worker", "",
        beyond["many"]["statements"], beyond["one"]["statements"])
    for moment, total, title, names in (
            ("schedule", "ticks", "statements for schedules at each tick", ("schedules.due", "schedules.tick")),
            ("webhook", "events", "looks for deliveries for each event", ("deliveries.claim",))):
        each = {size: sum(got[moment][size]["statements"].get(name, 0) for name in names) / got[moment][size][total]
                for size in ("many", "one")}
        add(f"herd_{moment}", title, "", each["many"], each["one"])


class Peer:
    """One of the drivers in peers/, each time in a database of its own."""

    def __init__(self, name, python, server, results):
        self.name, self.python, self.server, self.results = name, python, server, results
        self.sizes = results.sizes
        self.about = json.loads(self.call("describe"))

    def command(self, *arguments):
        return [self.python, str(HERE / "peers" / "measure.py"), self.name, *map(str, arguments)]

    def call(self, *arguments):
        return output_of(self.command(*arguments))

    def measure(self, *arguments):
        database = f"peer_{self.name}"
        self.server.create(database)
        try:
            answer = json.loads(self.call(*arguments, "--database", self.server.url(database)))
            self.results.raw.append({"peer": self.name, "command": list(map(str, arguments)), "result": answer})
            return answer
        finally:
            self.server.drop(database)

    def drain(self, slots, processes, _):
        jobs = self.sizes.peer_drains[self.name].get(slots)
        if processes == 1 and jobs:
            got = self.measure("drain", "--jobs", jobs, "--slots", slots)
            self.results.add(f"drain_{slots}", f"jobs done, {slots} slots", "per s",
                             **{self.name: got["jobs_per_second"]})

    def enqueue(self):
        got = self.measure("enqueue", "--jobs", self.sizes.enqueued)
        self.results.add("enqueue_one_by_one", "jobs added one by one", "per s", **{self.name: got["one_by_one"]})
        self.results.add("enqueue_batches", "jobs added in batches of 1,000", "per s", **{self.name: got["batches"]})

    def latency(self):
        got = self.measure("latency", "--jobs", self.sizes.latencies)
        for share in ("p50", "p90", "p99", "max"):
            self.results.add(f"latency_{share}", f"insert to start of the job, idle worker, {share}", "ms",
                             **{self.name: got[share]})

    def idle(self):
        database = f"peer_{self.name}"
        self.server.create(database)
        try:
            # A job that waits for the worker.
            self.call("install", "--database", self.server.url(database))
            began = time.monotonic()
            worker = subprocess.Popen(
                self.command("worker", "--installed", "--database", self.server.url(database)),
                stdout=subprocess.PIPE, text=True)
            try:
                if worker.stdout.readline().strip() != "job":
                    raise Unavailable(f"the worker of {self.name} has ended")
                self.results.add("start", "start of the process to its first job", "ms",
                                 **{self.name: (time.monotonic() - began) * 1000})
                time.sleep(2)
                _, before = usage(worker.pid)
                time.sleep(self.sizes.idle_seconds)
                resident, after = usage(worker.pid)
                self.results.add("idle_memory", "resident memory, idle", "MB", **{self.name: resident})
                self.results.add("idle_cpu", "processor, idle", "% of a core",
                                 **{self.name: (after - before) / self.sizes.idle_seconds * 100})
            finally:
                worker.kill()
                worker.wait()
        finally:
            self.server.drop(database)


def usage(process):
    """Resident megabytes, and seconds of processor time so far."""
    with open(f"/proc/{process}/stat") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return (int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1_048_576,
            (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))


# What is compared with others, what takes long and is measured once, many workers.
PARTS = ("rounds", "once", "scale-out")


def measure_rounds(actors, sizes):
    for number in range(sizes.rounds):
        say(f"==> Round {number + 1} of {sizes.rounds}")
        first = number % len(actors)
        turn = actors[first:] + actors[:first]
        for slots, processes, jobs in sizes.drains:
            say(f"    {processes} process(es) with {slots} slots")
            for actor in turn:
                actor.drain(slots, processes, jobs)
        for what in ("enqueue", "latency", "idle"):
            say(f"    {what}")
            for actor in turn:
                getattr(actor, what)()


def written(document, output):
    """The document, which stands in the folder `output` afterwards, as a table and a picture too."""
    (output / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    (output / "table.md").write_text(report.table(document))
    (output / "throughput.svg").write_text(report.picture(document))
    return document


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="the jobworker to measure")
    parser.add_argument("--peers-python", help="the python of an environment with peers/requirements.txt")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the scripts out")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this; may be given again")
    parser.add_argument("--output", required=True, help="a folder for results.json, table.md and throughput.svg")
    arguments = parser.parse_args()
    ends_in_order()
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    sizes = Sizes(arguments.quick)
    parts = arguments.part or PARTS
    results = Results(sizes)
    program = os.path.abspath(arguments.program)
    try:
        version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.strip()
        with Server() as server:
            ours = Jobworker(program, server, results)
            peers = []
            if arguments.peers_python:
                peers = [Peer(name, arguments.peers_python, server, results) for name in sizes.peer_drains]
            postgres = server.version

            # After each part, as the next one may fail.
            def so_far():
                return written(results.document(postgres, version, [peer.about for peer in peers]), output)

            if "rounds" in parts:
                measure_rounds([ours, *peers], sizes)
                document = so_far()
            if "once" in parts:
                say("==> Once")
                ours.once()
                document = so_far()
        if "scale-out" in parts:
            add_scale_out(results, program, arguments.quick)
            document = so_far()
            add_herd(results, program, arguments.quick)
            document = so_far()
    except Unavailable as problem:
        sys.exit(f"Cannot go on: {problem}")
    print(report.table(document))
    say(f"Written: {output}/results.json, table.md and throughput.svg")
    say(f"Into the README with: Benchmarks/report.py --adopt {output}/results.json")


if __name__ == "__main__":
    main()
