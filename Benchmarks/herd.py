#!/usr/bin/env python3
"""What many workers do at the same moment: when all of them start, when the server is back, when a worker's jobs are to be
taken back, at the tick of a schedule, and when a webhook is to be sent. Each time beside a single worker."""

import argparse
import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time

from server import Server, Unavailable, ends_in_order
from workers import DATABASE, LOGIN, Fleet

# After which what belongs to a moment is over: two polls.
AFTERWARDS = 10
OUTAGE = 5
STALE = 5_000
TICKS = 20
EVENTS, EVENTS_PER_SECOND = 200, 20


class Watch:
    """What the server had to do for the workers since it was made."""

    def __init__(self, server):
        self.server = server
        self.statements, self.processor = self._statements(), server.processor_time()
        self.sessions = server.sessions_begun(LOGIN)
        self.began = time.monotonic()

    def _statements(self):
        """By name; those without one, such as BEGIN, under ''."""
        return {name: int(calls) for name, calls in self.server.query(
            "SELECT coalesce(substring(query FROM 'jobworker:([a-z_.]+)'), ''), sum(calls) "
            "FROM pg_stat_statements AS s JOIN pg_roles AS r ON r.oid = s.userid "
            f"WHERE r.rolname = '{LOGIN}' GROUP BY 1")}

    def told(self):
        """Statements by name, the server's processor time in seconds, and sessions that were begun."""
        after = self._statements()
        return {"seconds": time.monotonic() - self.began,
                "statements": {name: calls - self.statements.get(name, 0) for name, calls in sorted(after.items())
                               if calls > self.statements.get(name, 0)},
                "server_cpu_seconds": self.server.processor_time() - self.processor,
                "sessions": self.server.sessions_begun(LOGIN) - self.sessions}


@contextlib.contextmanager
def fleet(program, server, count, environment=None):
    with Fleet(program, server, count, 5, environment=environment) as started:
        # What belongs to the start is over.
        time.sleep(AFTERWARDS)
        yield started


def idle(program, server, count, seconds):
    """No moment at all."""
    with fleet(program, server, count):
        watch = Watch(server)
        time.sleep(seconds)
        return watch.told()


def start(program, server, count):
    """All are stopped, then all start at once."""
    with fleet(program, server, count) as workers:
        workers.stop()
        watch = Watch(server)
        workers.start()
        ready = time.monotonic() - watch.began
        time.sleep(AFTERWARDS)
        return {"seconds_until_all_are_there": ready, **watch.told()}


def outage(program, server, count):
    """The server stops for a few seconds, and all come back."""
    with fleet(program, server, count) as workers:
        watch = Watch(server)
        server.stop()
        time.sleep(OUTAGE)
        server.start()
        back, ((now,),) = time.monotonic(), server.query("SELECT clock_timestamp()")
        workers.wait_until_all_polled_since(now)
        found = time.monotonic() - back
        time.sleep(AFTERWARDS)
        return {"seconds_until_all_are_back": found, **watch.told()}


def reaper(program, server, count, stale):
    """A worker fell silent with many jobs. Each must be taken back once."""
    # None is taken back until that much time has gone by since the server started.
    soon = {"WORKER_STALE_AFTER_SECONDS": str(AFTERWARDS), "WORKER_HEARTBEAT_SECONDS": str(AFTERWARDS / 5)}
    with fleet(program, server, count, soon) as workers:
        workers.query("TRUNCATE jobs CASCADE")
        workers.query(
            "INSERT INTO jobs (workspace_id, job_type, payload, status, attempts, started_at, worker_id, lease_token, "
            "lease_open, worker_heartbeat_at) SELECT id, 'noop', '{}', 'processing', 1, now(), 'gone', number, true, "
            f"clock_timestamp() FROM workspaces, generate_series(1, {stale}) AS number")
        watch = Watch(server)
        time.sleep(AFTERWARDS)
        workers.wait("SELECT NOT EXISTS (SELECT FROM jobs WHERE status = 'processing')", 60, pause=1)
        taken = time.monotonic() - watch.began - AFTERWARDS
        time.sleep(AFTERWARDS)
        told = watch.told()
        once = workers.query(
            "SELECT count(*) FILTER (WHERE status = 'pending' AND worker_deaths = 1), "
            "(SELECT count(*) FROM job_logs WHERE message LIKE '%stopped answering%') FROM jobs")
        if once != [[str(stale), str(stale)]]:
            raise Unavailable(f"of {stale} jobs these were taken back once, and logged: {once}")
        workers.query("TRUNCATE jobs CASCADE")
        return {"seconds_until_all_are_taken_back": taken, **told}


def schedule(program, server, count, ticks):
    """A schedule of each second."""
    with fleet(program, server, count) as workers:
        workers.query("TRUNCATE jobs CASCADE")
        workers.query("INSERT INTO job_schedules (workspace_id, name, job_type, every_seconds) "
                      "SELECT id, 'each second', 'noop', 1 FROM workspaces")
        workers.wait("SELECT count(*) >= 3 FROM jobs", 60)
        watch = Watch(server)
        (first,), = workers.query("SELECT count(*) FROM jobs")
        time.sleep(ticks)
        (last,), (late,) = workers.query(
            "SELECT count(*) FROM jobs",
            "SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - scheduled_for)) * 1000 FROM jobs")
        told = watch.told()
        workers.query("DELETE FROM job_schedules", "TRUNCATE jobs CASCADE")
        return {"ticks": int(last) - int(first), "due_to_start_p90_milliseconds": float(late), **told}


class Endpoint(http.server.ThreadingHTTPServer):
    # All workers may come at once.
    request_queue_size = 128


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def webhook(program, server, count, events):
    """Jobs end one after another, and an endpoint is told of each."""
    key = subprocess.run([program, "keys", "generate"], check=True, capture_output=True, text=True).stdout.strip()
    environment = {"WORKER_ENCRYPTION_KEYS": key, "WORKER_WEBHOOK_ALLOW_PRIVATE": "true"}
    receiver = Endpoint(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    try:
        with fleet(program, server, count, environment) as workers:
            (workspace,), = workers.query("SELECT id FROM workspaces")
            subprocess.run(
                [program, "webhooks", "add", f"http://127.0.0.1:{receiver.server_port}/", "--workspace", workspace],
                env={**os.environ, **environment, "DATABASE_URL": server.url(DATABASE)}, check=True, capture_output=True)
            watch = Watch(server)
            insert = "INSERT INTO jobs (workspace_id, job_type, payload) SELECT id, 'noop', '{}' FROM workspaces"
            pause = f"SELECT pg_sleep({1 / EVENTS_PER_SECOND})"
            workers.query(*[insert, pause] * events)
            workers.wait(f"SELECT count(*) = {events} FROM webhook_deliveries WHERE status = 'delivered'", 60)
            told = watch.told()
            workers.query("DELETE FROM webhook_endpoints", "TRUNCATE jobs CASCADE")
            return {"events": events, **told}
    finally:
        receiver.shutdown()


def beside_idle(result, name):
    """What a moment took beyond what idle workers do in that time: statements, and the server's processor time in
    seconds; with one worker and with many."""
    beyond = {}
    for count in ("one", "many"):
        rest, moment = result["idle"][count], result[name][count]
        share = moment["seconds"] / rest["seconds"]
        beyond[count] = {
            "statements": sum(moment["statements"].values()) - share * sum(rest["statements"].values()),
            "server_cpu_seconds": moment["server_cpu_seconds"] - share * rest["server_cpu_seconds"]}
    return beyond


def measure(program, is_quick=False, processes=50):
    """Each moment with one worker and with `processes`."""
    stale, ticks, events = (200, 3, 10) if is_quick else (STALE, TICKS, EVENTS)
    processes = min(processes, 8) if is_quick else processes
    result = {"processes": processes, "stale": stale}
    settings = {"max_connections": processes * 3 + 50, "shared_preload_libraries": "pg_stat_statements",
                "log_connections": "on"}
    with Server(settings) as server:
        server.query("CREATE EXTENSION pg_stat_statements")
        Fleet.prepare(program, server)
        for name, moment in (("idle", lambda *given: idle(*given, AFTERWARDS * (1 if is_quick else 2))),
                             ("start", start), ("outage", outage),
                             ("reaper", lambda *given: reaper(*given, stale)),
                             ("schedule", lambda *given: schedule(*given, ticks)),
                             ("webhook", lambda *given: webhook(*given, events))):
            print(f"    {name}", file=sys.stderr, flush=True)
            result[name] = {"one": moment(program, server, 1), "many": moment(program, server, processes)}
            if name != "idle":
                result[name]["beyond_idle"] = beside_idle(result, name)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=".build/release/jobworker", help="the jobworker to measure")
    parser.add_argument("--processes", type=int, default=50)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the script out")
    arguments = parser.parse_args()
    ends_in_order()
    try:
        print(json.dumps(measure(os.path.abspath(arguments.program), arguments.quick, arguments.processes), indent=1))
    except Unavailable as problem:
        sys.exit(f"Cannot go on: {problem}")


if __name__ == "__main__":
    main()
