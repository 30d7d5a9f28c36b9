"""Worker processes against a private server: started, watched, and ended with this process."""

import os
import pathlib
import secrets
import shutil
import subprocess
import tempfile
import time

from server import Unavailable

DATABASE = "bench"
LOGIN = "bench_worker"


class Fleet:
    """
    Worker processes with the login LOGIN, a member of `jobworker`, so that the row policies hold for them.

        with Fleet(program, server, processes=50, slots=5) as fleet:
            fleet.drain(10_000)
    """

    def __init__(self, program, server, processes, slots, hosts=None, environment=None):
        """
        hosts: for each process in turn, the network namespace it lives in and the address of the server there;
               without them all use the Unix socket
        environment: more variables, of the workers alone and not of what starts them
        """
        self.program, self.server, self.processes, self.slots = program, server, processes, slots
        self.hosts = hosts or [(None, None)]
        self.environment = ["env", *(f"{name}={value}" for name, value in (environment or {}).items())]
        self.running = []

    @staticmethod
    def prepare(program, server):
        """Makes the database, its schema, a workspace and the workers' login."""
        server.create(DATABASE)
        done = subprocess.run([program, "migrate"], capture_output=True, text=True,
                              env={**os.environ, "DATABASE_URL": server.url(DATABASE),
                                   "MIGRATE_DATABASE_URL": server.url(DATABASE)})
        if done.returncode:
            raise Unavailable(f"'jobworker migrate' failed:\n{done.stderr}")
        server.query(f"CREATE ROLE {LOGIN} LOGIN PASSWORD '{server.password}' IN ROLE jobworker")
        server.query("INSERT INTO workspaces (id, name, slug) VALUES (gen_random_uuid(), 'Bench', 'bench')",
                     database=DATABASE)

    def __enter__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="jobworker-fleet-"))
        self.name = f"fleet-{secrets.token_hex(3)}"
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        """All at once. Returns when each has polled."""
        (now,), = self.query("SELECT clock_timestamp()")
        for number in range(self.processes):
            self._start(number)
        self.wait_until_all_polled_since(now)

    def stop(self):
        """All at once, as systemd does it. Returns when each has ended."""
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(150)
        self.running = []

    def wait_until_all_polled_since(self, moment):
        """moment: as the server writes a time"""
        self.wait(f"SELECT count(*) = {self.processes} FROM job_workers "
                  f"WHERE id LIKE '{self.name}-%' AND seen_at > '{moment}' AND stopped_at IS NULL", 120)

    def _start(self, number):
        own = self.directory / str(number)
        own.mkdir(exist_ok=True)
        namespace, address = self.hosts[number % len(self.hosts)]
        place = ["ip", "netns", "exec", namespace] if namespace else []
        with open(own / "log", "w") as log:
            self.running.append(subprocess.Popen(
                [*place, "setpriv", "--pdeathsig=TERM", "--", *self.environment, self.program, "run"], stdout=log, stderr=log,
                start_new_session=True,
                env={**os.environ, "DATABASE_URL": self.server.url(DATABASE, address, LOGIN),
                     "RUNTIME_DIRECTORY": str(own), "WORKER_INSTANCE": f"{self.name}-{number}",
                     "WORKER_ID": f"{self.name}-{number}", "WORKER_DIAGNOSTIC_JOBS": "true",
                     "WORKER_MAX_CONCURRENT": str(self.slots)}))

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def query(self, *sql):
        return self.server.query(*sql, database=DATABASE)

    def wait(self, question, seconds, pause=0.1):
        """Until the answer is yes. It is asked again after each pause, in seconds."""
        deadline = time.monotonic() + seconds
        while self.query(question) != [["t"]]:
            for process, directory in zip(self.running, sorted(self.directory.iterdir(), key=lambda path: int(path.name))):
                if process.poll() is not None:
                    raise Unavailable(f"a worker has ended:\n{(directory / 'log').read_text()[-2000:]}")
            if time.monotonic() > deadline:
                raise Unavailable(f"not so within {seconds} s: {question}")
            time.sleep(pause)

    def drain(self, jobs):
        """
        Has jobs without work done that are all there before the first is claimed.

        Gives the rate by the database's clock, the most connections seen at once, and the jobs of each worker.
        Raises Unavailable unless each job was done exactly once.
        """
        query = self.query
        query("INSERT INTO job_queues (name, paused_at) VALUES ('default', now()) "
              "ON CONFLICT (name) DO UPDATE SET paused_at = now()")
        query("TRUNCATE jobs CASCADE")
        query("INSERT INTO jobs (workspace_id, job_type, payload) "
              f"SELECT id, 'noop', '{{}}' FROM workspaces, generate_series(1, {jobs})")
        query("VACUUM ANALYZE jobs")
        query("CHECKPOINT")
        query("UPDATE job_queues SET paused_at = NULL WHERE name = 'default'")
        connections, deadline = 0, time.monotonic() + 60 + jobs / 100
        while True:
            open_now, is_done = query(
                f"SELECT (SELECT count(*) FROM pg_stat_activity WHERE usename = '{LOGIN}'), "
                "NOT EXISTS (SELECT FROM jobs WHERE status IN ('pending', 'processing'))")[0]
            connections = max(connections, int(open_now))
            if is_done == "t":
                break
            if time.monotonic() > deadline:
                raise Unavailable("the jobs were not done in time")
            time.sleep(0.1)
        once, rate = query(
            "SELECT count(*) FILTER (WHERE status = 'completed' AND attempts = 1), "
            "count(*) / extract(epoch FROM max(completed_at) - min(started_at)) FROM jobs")[0]
        logged, distinct = query(
            "SELECT count(*), count(DISTINCT job_id) FROM job_logs WHERE message LIKE 'Completed%'")[0]
        if not int(once) == int(logged) == int(distinct) == jobs:
            raise Unavailable(f"of {jobs} jobs {once} were done at the first attempt, and {logged} completions of "
                              f"{distinct} jobs are in job_logs")
        shares = {worker: int(count) for worker, count in query(
            "SELECT worker_id, count(*) FROM jobs GROUP BY worker_id")}
        return {"jobs_per_second": float(rate), "connections": connections, "shares": shares}
