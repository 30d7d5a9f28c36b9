"""Runs the examples of docs/clients.md; see scripts/client-examples."""

import base64
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse

import psycopg
from postgrest import SyncPostgrestClient
from psycopg import sql
from psycopg.types.json import Jsonb

HERE = pathlib.Path(__file__).parent
GUIDE = HERE.parent.parent / "docs" / "clients.md"


def examples():
    """The fenced blocks of the guide: language -> texts."""
    found = {}
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE.read_text(), re.M | re.S):
        found.setdefault(language, []).append(text)
    return found


class System:
    """`jobworker dev` in a folder of its own."""

    def __init__(self, program):
        self.folder = tempfile.mkdtemp(prefix="jobworker-clients-")
        os.chmod(self.folder, 0o711)
        self.process = subprocess.Popen(
            [program, "dev", "--keep", self.folder + "/dev"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.variables = {}
        self.lines = []
        ready = threading.Event()
        threading.Thread(target=self.read, args=(ready,), daemon=True).start()
        if not ready.wait(120):
            self.stop()
            sys.exit("The system did not start:\n" + "".join(self.lines))

    def read(self, ready):
        for line in self.process.stdout:
            self.lines.append(line)
            if match := re.match(r"\s*export (\w+)=(.*)$", line):
                self.variables[match[1]] = match[2].strip().strip("'\"")
            if {"DATABASE_URL", "WORKSPACE", "WORKER_SOCKET", "WORKER_SECRET_TOKEN"} <= self.variables.keys():
                ready.set()

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self, **more):
        return {**os.environ, **self.variables, **more}

    def run(self, *command, **more):
        done = subprocess.run(command, env=self.environment(**more), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


class PostgREST(http.server.BaseHTTPRequestHandler):
    """A stand-in for PostgREST: inserts one row with the role and claims of the token, as the real one does."""

    # What PostgREST makes of it: https://docs.postgrest.org/en/stable/references/api/tables_views.html#insert
    STATEMENT = """
        WITH pgrst_source AS (
            INSERT INTO public.{table} ({columns})
            SELECT {body_columns} FROM (SELECT %s::json AS json_data) pgrst_payload,
                LATERAL (SELECT {columns} FROM json_to_record(pgrst_payload.json_data) AS _({typed})) pgrst_body
            RETURNING {returned})
        SELECT coalesce(json_agg(_postgrest_t), '[]') FROM (SELECT {returned} FROM pgrst_source) _postgrest_t"""

    def do_POST(self):
        url = urllib.parse.urlparse(self.path)
        table = url.path.rsplit("/", 1)[-1]
        wanted = urllib.parse.parse_qs(url.query).get("select", ["*"])[0].split(",")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        claims = self.headers["Authorization"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        try:
            rows = self.insert(table, json.loads(body), wanted, claims)
            single = "vnd.pgrst.object" in self.headers.get("Accept", "")
            self.answer(201, rows[0] if single else rows)
        except psycopg.Error as error:
            self.answer(403 if error.sqlstate == "42501" else 400, {"code": error.sqlstate, "message": str(error)})

    def insert(self, table, row, wanted, claims):
        row = row[0] if isinstance(row, list) else row
        names = [sql.Identifier(name) for name in row]
        with psycopg.connect(self.server.database) as connection:
            types = dict(connection.execute(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                " WHERE attrelid = %s::regclass AND attnum > 0", ("public." + table,)).fetchall())
            connection.execute(
                "SELECT set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
                (claims["role"], json.dumps(claims)))
            statement = sql.SQL(self.STATEMENT).format(
                table=sql.Identifier(table), columns=sql.SQL(", ").join(names),
                body_columns=sql.SQL(", ").join(sql.SQL("pgrst_body.{}").format(name) for name in names),
                typed=sql.SQL(", ").join(
                    sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(types[name])) for name in row),
                returned=sql.SQL(", ").join(
                    sql.SQL("*") if name == "*" else sql.Identifier(name) for name in wanted))
            return connection.execute(statement, (json.dumps(row),)).fetchone()[0]

    def answer(self, status, document):
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Checks:
    def __init__(self, system):
        self.system = system
        self.examples = examples()
        self.database = system.variables["DATABASE_URL"]
        self.workspace = system.variables["WORKSPACE"]
        self.rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), PostgREST)
        self.rest.database = self.database
        threading.Thread(target=self.rest.serve_forever, daemon=True).start()
        self.rest_url = "http://127.0.0.1:%d" % self.rest.server_port

    def query(self, text, *values):
        with psycopg.connect(self.database) as connection:
            return connection.execute(text, values).fetchone()

    def token(self, member):
        """As Supabase hands it out; nobody checks its signature here."""
        parts = [{"alg": "HS256"}, {"sub": str(member), "role": "authenticated"}]
        return ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + ".none"

    @property
    def owner(self):
        return self.query("SELECT owner_id FROM workspaces WHERE id = %s", self.workspace)[0]

    def completed(self, job):
        """Waits for the job's end, and looks at it by the guide's own statement."""
        shown = self.examples["sql"][1]
        for _ in range(600):
            line = subprocess.run(
                ["psql", self.database, "-X", "-qtA", "-v", "job=" + job], input=shown, env=self.system.environment(),
                capture_output=True, text=True, check=True).stdout.strip()
            if line.startswith(("completed|", "failed|")):
                break
            time.sleep(0.05)
        assert line == 'completed|100|{"steps": 2}|', line

    def check_sql(self):
        job = subprocess.run(
            ["psql", self.database, "-X", "-qtA", "-v", "ON_ERROR_STOP=1", "-v", "workspace=" + self.workspace],
            input=self.examples["sql"][0], capture_output=True, text=True, check=True).stdout.strip()
        self.completed(job)

    def check_python(self):
        self.completed(self.system.run(sys.executable, "-c", self.examples["python"][0]).strip())

    def check_http(self):
        """Over the socket, on which an operator needs the token too."""
        socket = self.system.variables["WORKER_SOCKET"]
        command = self.examples["sh"][0].replace("curl ", "curl --unix-socket '%s' " % socket, 1)
        answer = self.system.run(
            "bash", "-c", command, WORKER="http://localhost", TOKEN=self.system.variables["WORKER_SECRET_TOKEN"])
        self.completed(json.loads(answer)["id"])

    def supabase(self, member):
        script = (
            "import { createClient } from %s\n"
            "const supabase = createClient(process.env.REST, process.env.TOKEN)\n"
            "const workspace = process.env.WORKSPACE\n%s"
            "console.log(JSON.stringify({ job, error }))\n"
        ) % (json.dumps(str(HERE.resolve() / "supabase.mjs")), self.examples["js"][0])
        answer = self.system.run(
            "node", "--input-type=module", "-e", script, REST=self.rest_url, TOKEN=self.token(member))
        return json.loads(answer)

    def check_supabase_js(self):
        answer = self.supabase(self.owner)
        assert answer["error"] is None, answer
        self.completed(answer["job"]["id"])
        by = self.query("SELECT inserted_by FROM jobs WHERE id = %s", answer["job"]["id"])[0]
        assert by == "authenticated", by

    def check_supabase_js_as_a_stranger(self):
        stranger = "00000000-0000-4000-8000-00000000dead"
        answer = self.supabase(stranger)
        assert answer["job"] is None and answer["error"]["code"] == "42501", answer

    def check_the_stand_in_with_a_client_of_supabase(self):
        client = SyncPostgrestClient(
            self.rest_url + "/rest/v1", headers={"Authorization": "Bearer " + self.token(self.owner)})
        rows = client.from_("jobs").insert({
            "workspace_id": self.workspace, "job_type": "progress", "payload": {"steps": 2, "seconds": 0},
        }).execute().data
        self.completed(rows[0]["id"])


def main():
    system = System(sys.argv[1])
    passed = failed = skipped = 0
    try:
        checks = Checks(system)
        for name in (name for name in dir(checks) if name.startswith("check_")):
            title = name.removeprefix("check_").replace("_", " ")
            if "supabase_js" in name and not shutil.which("node"):
                print("skipped %s: node is not installed" % title)
                skipped += 1
                continue
            try:
                getattr(checks, name)()
            except Exception:
                print("FAILED %s" % title)
                traceback.print_exc(file=sys.stdout)
                failed += 1
            else:
                print("ok %s" % title)
                passed += 1
    finally:
        system.stop()
    print("%d passed, %d failed" % (passed, failed) + (", %d skipped" % skipped if skipped else ""))
    sys.exit(failed > 0)


main()
