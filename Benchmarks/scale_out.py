#!/usr/bin/env python3
"""Many small workers beside one large one, many idle ones, and workers on other machines, as network namespaces."""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time

from server import Server, Unavailable, ends_in_order
from workers import DATABASE, LOGIN, Fleet

JOBS = 20_000
RUNS = 5
IDLE_SECONDS = 60


def say(text):
    print(text, file=sys.stderr, flush=True)


# What asks for jobs: by itself, by a job's id, along with completions, by the timer; and what finds out where to ask.
CLAIMS = ("claim", "claim.one", "exchange", "poll")
SEARCHES = ("lanes",)


def counted(server, names):
    """How often the workers have sent the statements of those names."""
    named = " OR ".join(f"query LIKE '%/* jobworker:{name} */%'" for name in names)
    return int(server.query(
        "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements "
        f"WHERE ({named}) AND query NOT LIKE '%pg_stat_statements%'")[0][0])


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@contextlib.contextmanager
def prepared(program, connections, **options):
    settings = {"max_connections": connections + 50, "shared_preload_libraries": "pg_stat_statements"}
    with Server(settings, **options) as server:
        server.query("CREATE EXTENSION pg_stat_statements")
        Fleet.prepare(program, server)
        yield server


def many_and_one(program, processes, slots, jobs, runs):
    """`processes` workers with `slots` each, in turn with one worker that has as many as all of them; then the former
    beside pgbench, with as many sessions and batches as large as such a worker's."""
    arrangements = {"many": (processes, slots), "one": (1, processes * slots)}
    rates = {name: [] for name in arrangements}
    claims, connections = {}, {}
    # Twice as many workers stand beside pgbench, with and without rows in `job_logs`.
    with prepared(program, processes * 3 * 2 + processes) as server:
        for _ in range(runs):
            for name, (count, each) in arrangements.items():
                with Fleet(program, server, count, each) as fleet:
                    server.query("SELECT pg_stat_statements_reset()")
                    result = fleet.drain(jobs)
                    rates[name].append(result["jobs_per_second"])
                    claims.setdefault(name, []).append(counted(server, CLAIMS + SEARCHES))
                    connections[name] = max(connections.get(name, 0), result["connections"] / count)
        beside = json.loads(subprocess.run(
            [program, "bench", "throughput", "--max-concurrent", str(slots), "--processes", str(processes),
             "--jobs", str(jobs), "--runs", str(runs), "--json"],
            env={**os.environ, "DATABASE_URL": server.url()}, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {
        "processes": processes, "slots": slots, "jobs": jobs,
        "many_jobs_per_second": rates["many"], "one_jobs_per_second": rates["one"],
        "ratio": median(rates["many"]) / median(rates["one"]),
        "beside_pgbench": {"jobs_per_second": beside["jobs_per_second"]["p50"],
                           "pgbench_jobs_per_second": beside["ceiling_with_rows_jobs_per_second"]["p50"]},
        "many_looks": median(claims["many"]), "one_looks": median(claims["one"]),
        "connections_per_process": connections["many"],
    }


def idle(program, processes, seconds):
    """What idle workers cost the server: a quarter of them, then all, so that it shows whether it is a straight line."""
    points = []
    with prepared(program, processes * 3) as server:
        for count in (max(1, processes // 4), processes):
            with Fleet(program, server, count, 5):
                # What belongs to the start is over.
                time.sleep(10)
                server.query("SELECT pg_stat_statements_reset()")
                before = server.processor_time()
                time.sleep(seconds)
                used = server.processor_time() - before
                statements = int(server.query(
                    "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements AS s JOIN pg_roles AS r ON r.oid = s.userid "
                    f"WHERE r.rolname = '{LOGIN}'")[0][0])
                connections = int(server.query(
                    f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{LOGIN}'")[0][0])
                points.append({
                    "workers": count, "server_cpu_percent": used / seconds * 100,
                    "statements_per_second": statements / seconds, "connections": connections,
                    **herd(server)})
    few, many = points
    share = (many["server_cpu_percent"] - few["server_cpu_percent"]) / (many["workers"] - few["workers"])
    return {"points": points, "seconds": seconds,
            "thousand_workers_server_cpu_percent": many["server_cpu_percent"] + share * (1000 - many["workers"]),
            "thousand_workers_statements_per_second": many["statements_per_second"] * 1000 / many["workers"]}


def herd(server):
    """How many claims a single job brings about while all workers are idle, and what that costs the server."""
    jobs = 20
    server.query("SELECT pg_stat_statements_reset()")
    before = server.processor_time()
    insert = "INSERT INTO jobs (workspace_id, job_type, payload) SELECT id, 'noop', '{}' FROM workspaces"
    server.query(*["SELECT pg_sleep(0.2)", insert] * jobs, "SELECT pg_sleep(0.2)", database=DATABASE)
    used = server.processor_time() - before
    return {"claims_per_job": counted(server, ("claim", "claim.one", "exchange")) / jobs, "server_cpu_ms_per_job": used / jobs * 1000}


@contextlib.contextmanager
def network():
    """A namespace for the server and two for workers, each of these joined to the first by a pair of veth."""
    if os.geteuid() != 0:
        raise Unavailable("network namespaces need root")
    if not shutil.which("ip"):
        raise Unavailable("there is no 'ip'. Install it: apt-get install iproute2")
    base = f"jwb{os.getpid()}"
    names = [f"{base}-db", f"{base}-w1", f"{base}-w2"]

    def ip(*words):
        done = subprocess.run(["ip", *words], capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"'ip {' '.join(words)}': {done.stderr.strip()}")

    try:
        for name in names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        hosts = []
        for number, name in enumerate(names[1:], 1):
            here, there = f"jwb{number}a", f"jwb{number}b"
            ip("link", "add", here, "netns", names[0], "type", "veth", "peer", "name", there, "netns", name)
            for place, link, address in ((names[0], here, 1), (name, there, 2)):
                ip("-n", place, "address", "add", f"10.213.{number}.{address}/30", "dev", link)
                ip("-n", place, "link", "set", link, "up")
            hosts.append((name, f"10.213.{number}.1"))
        yield names[0], hosts
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def apart(program, processes, slots, jobs, runs):
    """Workers in two network namespaces, PostgreSQL in a third one; every job is checked to be done exactly once."""
    with network() as (place, hosts):
        addresses = ",".join(address for _, address in hosts)
        with prepared(program, processes * 3, addresses=addresses, namespace=place) as server:
            rates, shares = [], []
            for _ in range(runs):
                with Fleet(program, server, processes, slots, hosts) as fleet:
                    result = fleet.drain(jobs)
                    rates.append(result["jobs_per_second"])
                    first = sum(count for worker, count in result["shares"].items()
                                if int(worker.rsplit("-", 1)[1]) % 2 == 0)
                    shares.append(first / jobs)
            if not all(0 < share < 1 for share in shares):
                raise Unavailable("one of the two namespaces did no job")
            return {"processes": processes, "slots": slots, "jobs": jobs, "jobs_per_second": rates,
                    "share_of_first_namespace": shares, "each_job_done_exactly_once": True}


def measure(program, is_quick=False, idle_workers=100):
    """All three; one that this machine can't do is a reason in words."""
    jobs, runs, seconds = (2_000, 1, 5) if is_quick else (JOBS, RUNS, IDLE_SECONDS)
    processes = 8 if is_quick else 50
    idle_workers = 8 if is_quick else idle_workers
    say(f"==> Scale-out: {processes} workers with 5 slots, and one with {processes * 5}")
    result = {"many_and_one": many_and_one(program, processes, 5, jobs, runs)}
    say(f"==> Scale-out: {idle_workers} idle workers")
    result["idle"] = idle(program, idle_workers, seconds)
    say("==> Scale-out: workers in network namespaces of their own")
    try:
        result["apart"] = apart(program, 4, 25, jobs, runs)
    except Unavailable as reason:
        say(f"    skipped: {reason}")
        result["apart"] = {"skipped": str(reason)}
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=".build/release/jobworker", help="the jobworker to measure")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the script out")
    parser.add_argument("--idle-workers", type=int, default=100, help="real processes; each takes some 30 MB in all")
    arguments = parser.parse_args()
    ends_in_order()
    try:
        print(json.dumps(measure(os.path.abspath(arguments.program), arguments.quick, arguments.idle_workers), indent=1))
    except Unavailable as problem:
        sys.exit(f"Cannot go on: {problem}")


if __name__ == "__main__":
    main()
