#!/usr/bin/env python3
"""Jobs come one after another to workers that wait, first with nothing else to do, then while retention deletes."""

import argparse
import os
import sys
import time

from server import Server, Unavailable, ends_in_order
from workers import Fleet


def old_jobs(query, count):
    """Completed a month ago, with a row in the log each."""
    query("INSERT INTO jobs (workspace_id, job_type, payload, status, created_at, started_at, completed_at, attempts) "
          "SELECT id, 'noop', '{}', 'completed', now() - interval '30 days', now() - interval '30 days', "
          f"now() - interval '30 days', 1 FROM workspaces, generate_series(1, {count})",
          "INSERT INTO job_logs (job_id, log_level, message) SELECT id, 'info', 'Completed' FROM jobs", "VACUUM ANALYZE",
          "CHECKPOINT")


def latencies(query, seconds):
    """From the insert to the stored start, in milliseconds, of a job each 20 ms; and how many old jobs went meanwhile."""
    before = int(query("SELECT count(*) FROM jobs WHERE created_at < now() - interval '1 day'")[0][0])
    query(*["INSERT INTO jobs (workspace_id, job_type, payload, created_at) SELECT id, 'noop', '{\"timed\": true}', "
            "clock_timestamp() FROM workspaces", "SELECT pg_sleep(0.02)"] * (seconds * 50))
    time.sleep(2)
    after = int(query("SELECT count(*) FROM jobs WHERE created_at < now() - interval '1 day'")[0][0])
    row = query(
        "SELECT count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY ms), percentile_disc(0.99) WITHIN GROUP (ORDER BY ms), "
        "max(ms) FROM (SELECT extract(epoch FROM started_at - created_at) * 1000 AS ms FROM jobs "
        "WHERE payload ? 'timed' AND started_at IS NOT NULL) AS starts")[0]
    query("DELETE FROM jobs WHERE payload ? 'timed'")
    return int(row[0]), *map(float, row[1:]), before - after


def main():
    ends_in_order()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=".build/release/jobworker", help="the program to measure")
    parser.add_argument("--old", type=int, default=200_000, help="jobs that retention is to delete")
    parser.add_argument("--seconds", type=int, default=30, help="of each part")
    arguments = parser.parse_args()
    program = os.path.abspath(arguments.program)
    try:
        with Server() as server:
            Fleet.prepare(program, server)
            print("| | jobs | p50 | p99 | longest | deleted meanwhile |")
            print("| --- | --- | --- | --- | --- | --- |", flush=True)
            for round_number in range(2):
                for name, days in [("without retention", "0"), ("while it deletes", "7")]:
                    os.environ["WORKER_RETENTION_DAYS"] = f"completed:{days}"
                    with Fleet(program, server, 1, 10) as fleet:
                        fleet.query("TRUNCATE jobs, job_logs CASCADE")
                        old_jobs(fleet.query, arguments.old)
                        deadline = time.monotonic() + 180
                        while days != "0" and int(fleet.query(
                                "SELECT count(*) FROM jobs WHERE created_at < now() - interval '1 day'")[0][0]) == arguments.old:
                            if time.monotonic() > deadline:
                                raise Unavailable("retention didn't begin")
                            time.sleep(0.5)
                        jobs, p50, p99, longest, gone = latencies(fleet.query, arguments.seconds)
                        print(f"| {name}, round {round_number + 1} | {jobs:,} | {p50:.1f} ms | {p99:.1f} ms | {longest:.1f} ms | "
                              f"{gone:,} |", flush=True)
    except Unavailable as problem:
        sys.exit(f"retention: {problem}")


if __name__ == "__main__":
    main()
