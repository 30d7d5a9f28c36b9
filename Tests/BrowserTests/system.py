"""'jobworker dev' with its own PostgreSQL, for programs that drive the dashboard."""

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

MEMBERS_SECRET = "a secret of the browser tests, long enough"
# Of the sample workspace.
OWNER = "5a000000-0000-4000-8000-0000000000a1"


def chromium():
    return shutil.which("chromium") or shutil.which("google-chrome")


class System:
    """Runs until it is closed. With demo=True the sample jobs of 'scripts/demo' have ended when it is there."""

    def __init__(self, program, demo=True):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        options = ["--demo", "--stay"] if demo else []
        self.process = subprocess.Popen(
            [program, "dev", "--listen", f"127.0.0.1:{self.port}", *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "SUPABASE_JWT_SECRET": MEMBERS_SECRET, "WORKER_WEBHOOK_ALLOW_PRIVATE": "true"})
        self.variables, lines = {}, []
        for line in self.process.stdout:
            lines.append(line)
            if found := re.match(r"\s+export (\w+)='?([^'\n]*)'?", line):
                self.variables[found[1]] = found[2]
            if "Ctrl-C ends it" in line:
                break
        else:
            raise SystemExit("'jobworker dev' did not start:\n" + "".join(lines))
        # What it says from now on is read by nobody, and must not fill the pipe.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stdout, stdout=subprocess.DEVNULL)
        self.address = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.address}/dashboard"
        self.workspace = self.variables["WORKSPACE"]
        self.account = self.variables["ACCOUNT"]

    def sql(self, text):
        done = subprocess.run(
            ["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", self.variables["DATABASE_URL"], "-c", text],
            capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def add(self, job_type, payload="{}", **columns):
        """Adds a job; the values of columns are SQL."""
        names = "".join(f", {name}" for name in columns)
        values = "".join(f", {value}" for value in columns.values())
        return self.sql(
            f"INSERT INTO jobs (workspace_id, job_type, payload{names}) VALUES "
            f"('{self.workspace}', '{job_type}', $json${payload}$json${values}) RETURNING id")

    def until(self, query, wanted, seconds=20):
        end = time.monotonic() + seconds
        while (found := self.sql(query)) != wanted:
            assert time.monotonic() < end, f"{query}: {found} instead of {wanted}"
            time.sleep(0.1)

    def call(self, method, path, document=None):
        """Asks the HTTP interface as an operator."""
        from urllib.request import Request, urlopen

        request = Request(
            self.address + path, method=method, data=None if document is None else json.dumps(document).encode(),
            headers={"Authorization": f"Bearer {self.variables['WORKER_SECRET_TOKEN']}",
                     "Content-Type": "application/json"})
        with urlopen(request) as answer:
            return json.load(answer)

    def close(self):
        # It waits for jobs that run.
        self.sql("UPDATE jobs SET status = 'cancelled' WHERE status IN ('pending', 'blocked', 'processing')")
        self.process.terminate()
        self.process.wait(timeout=60)
        self.drain.wait(timeout=10)


def member_token(user, seconds=3600):
    """As the application would give it to a user who signed in."""
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    claims = {"sub": user, "role": "authenticated", "exp": int(time.time()) + seconds}
    signed = ".".join(part(json.dumps(each).encode()) for each in ({"alg": "HS256", "typ": "JWT"}, claims))
    return signed + "." + part(hmac.new(MEMBERS_SECRET.encode(), signed.encode(), hashlib.sha256).digest())


def sign_in(page, system, token=None):
    page.goto(system.url)
    page.fill("#token", token or system.variables["WORKER_SECRET_TOKEN"])
    page.click("button.main")
    page.wait_for_url(system.url)


class Tests:
    """Runs functions as tests and counts them, in the form of 'scripts/test'."""

    def __init__(self, output=None):
        self.passed = self.failed = 0
        self.output = output
        self.page = None

    def __call__(self, function):
        started = time.monotonic()
        name = function.__name__.replace("_", " ")
        try:
            function()
            self.passed += 1
            print(f"ok {name} ({time.monotonic() - started:.1f} s)", flush=True)
        except Exception as error:
            self.failed += 1
            frame = error.__traceback__
            while frame.tb_next and frame.tb_next.tb_frame.f_code.co_filename == __file__.replace("system", "run"):
                frame = frame.tb_next
            print(f"FAILED {name}, line {frame.tb_lineno}: {error!r}"[:1500], flush=True)
            if self.page and self.output:
                try:
                    self.page.screenshot(path=f"{self.output}/failed-{function.__name__[:60]}.png", full_page=True)
                except Exception:
                    pass

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(self.failed > 0 or self.passed == 0)
