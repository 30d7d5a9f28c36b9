#!/usr/bin/env python3
"""Graphs of three forms, each in several sizes: how long adding them takes, and how long it takes workers to end them."""

import argparse
import os
import sys
import time

from server import Server, Unavailable, ends_in_order
from workers import Fleet

# Each gives the list of jobs as the database takes it. `n` stands for their number.
FORMS = {
    # One behind the other.
    "chain": "SELECT jsonb_agg(jsonb_build_object('name', 'j' || i, 'job_type', 'noop', 'after', "
             "CASE WHEN i > 1 THEN jsonb_build_array('j' || i - 1) ELSE '[]' END) ORDER BY i) "
             "FROM generate_series(1, {n}) AS i",
    # One, all others behind it, and one behind all of these.
    "fan": "SELECT jsonb_agg(jsonb_build_object('name', 'j' || i, 'job_type', 'noop', 'after', "
           "CASE WHEN i = 1 THEN '[]' WHEN i < {n} THEN '[\"j1\"]'::jsonb "
           "ELSE (SELECT jsonb_agg('j' || k) FROM generate_series(2, {n} - 1) AS k) END) ORDER BY i) "
           "FROM generate_series(1, {n}) AS i",
    # Layers of a hundred; each job waits for two of the layer before.
    "layers": "SELECT jsonb_agg(jsonb_build_object('name', 'j' || i, 'job_type', 'noop', 'after', "
              "CASE WHEN i > 100 THEN jsonb_build_array('j' || i - 100, 'j' || (i - 1) / 100 * 100 - 99 + i % 100) "
              "ELSE '[]' END) ORDER BY i) FROM generate_series(1, {n}) AS i",
}


def measured(fleet, form, jobs, seconds_max):
    """Seconds for adding and for running through."""
    query = fleet.query
    query("TRUNCATE job_workflows, jobs CASCADE", "INSERT INTO job_queues (name, paused_at) VALUES ('default', now()) "
          "ON CONFLICT (name) DO UPDATE SET paused_at = now()", "VACUUM ANALYZE jobs, job_dependencies, job_logs")
    began = time.monotonic()
    query("SELECT jobworker.add_workflow((SELECT id FROM workspaces), (" + FORMS[form].format(n=jobs) + "))")
    added = time.monotonic() - began
    began = time.monotonic()
    query("UPDATE job_queues SET paused_at = NULL WHERE name = 'default'")
    while True:
        left = query("SELECT EXISTS (SELECT FROM jobs WHERE status IN ('pending', 'blocked', 'processing'))")[0][0]
        if left == "f":
            break
        if time.monotonic() - began > seconds_max:
            raise Unavailable(f"the {form} of {jobs} jobs was not through after {seconds_max} s")
        time.sleep(0.05)
    done = time.monotonic() - began
    count, early = query(
        "SELECT (SELECT count(*) FROM jobs WHERE status = 'completed' AND attempts = 1), (SELECT count(*) "
        "FROM job_dependencies AS d JOIN jobs AS child ON child.id = d.job_id "
        "JOIN jobs AS parent ON parent.id = d.depends_on_job_id WHERE child.started_at < parent.completed_at)")[0]
    if int(count) != jobs or early != "0":
        raise Unavailable(f"of {jobs} jobs {count} were done at the first attempt, {early} before a parent")
    return added, done


def main():
    ends_in_order()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=".build/release/jobworker", help="the program to measure")
    parser.add_argument("--jobs", default="1000,10000,100000", help="sizes, comma separated")
    parser.add_argument("--forms", default="chain,fan,layers", help="of: " + ", ".join(FORMS))
    parser.add_argument("--slots", type=int, default=50, help="jobs at once")
    parser.add_argument("--seconds-max", type=int, default=600, help="for one run")
    arguments = parser.parse_args()
    try:
        with Server() as server:
            Fleet.prepare(os.path.abspath(arguments.program), server)
            with Fleet(os.path.abspath(arguments.program), server, 1, arguments.slots) as fleet:
                print("| form | jobs | added in | ms a job | run through in | ms a job |")
                print("| --- | --- | --- | --- | --- | --- |", flush=True)
                for form in arguments.forms.split(","):
                    for jobs in map(int, arguments.jobs.split(",")):
                        added, done = measured(fleet, form, jobs, arguments.seconds_max)
                        print(f"| {form} | {jobs:,} | {added:.1f} s | {added / jobs * 1000:.2f} | {done:.1f} s | "
                              f"{done / jobs * 1000:.2f} |", flush=True)
    except Unavailable as problem:
        sys.exit(f"workflows: {problem}")


if __name__ == "__main__":
    main()
