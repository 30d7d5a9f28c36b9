"""A private PostgreSQL server with default settings, gone with the process that started it."""

import glob
import os
import pathlib
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time


class Unavailable(Exception):
    """Something this machine lacks, with what to do about it."""


def binaries():
    """The folder of PostgreSQL's server programs, those of the newest version."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: float(path.split("/")[4]))
    if found:
        return os.path.dirname(found[-1])
    in_path = shutil.which("initdb")
    if in_path:
        return os.path.dirname(os.path.realpath(in_path))
    raise Unavailable("PostgreSQL's server programs were not found. Install them: apt-get install postgresql")


class Server:
    """
    with Server() as server:
        server.url("postgres")

    Its durability is PostgreSQL's default: fsync and synchronous_commit are on. PostgreSQL refuses to run as root;
    root starts it as the user 'postgres'.
    """

    def __init__(self, settings=None, addresses="", namespace=None):
        """
        settings:  more of postgresql.conf
        addresses: to listen to besides the Unix socket, comma separated; with a password
        namespace: of the network, made by the caller
        """
        self.settings = {"listen_addresses": addresses, **(settings or {})}
        self.namespace = namespace
        self.password = secrets.token_hex(16)
        self.process = None
        self.time_of_earlier_processes = 0

    def __enter__(self):
        self.bin = binaries()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="jobworker-bench-"))
        self.user = []
        if os.geteuid() == 0:
            try:
                account = pwd.getpwnam("postgres")
            except KeyError:
                raise Unavailable("There is no user 'postgres' for the server. Install the package postgresql") from None
            os.chown(self.directory, account.pw_uid, account.pw_gid)
            self.user = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _as_user(self, *command, ends_with_us=False):
        prefix = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        # A server must not outlive this process, however that ends.
        return [*prefix, "setpriv", *self.user, *(["--pdeathsig=INT"] if ends_with_us else []), "--", *command]

    def _start(self):
        data, secret = self.directory / "data", self.directory / "password"
        secret.write_text(self.password + "\n")
        if self.user:
            shutil.chown(secret, "postgres")
        subprocess.run(
            self._as_user(f"{self.bin}/initdb", f"--pgdata={data}", "--username=postgres", f"--pwfile={secret}",
                          "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"),
            check=True, stdout=subprocess.DEVNULL, cwd="/")
        if self.settings["listen_addresses"]:
            with open(data / "pg_hba.conf", "a") as rules:
                rules.write("host all all 10.0.0.0/8 scram-sha-256\n")
        self.start()

    def start(self):
        """Returns when it answers."""
        data = self.directory / "data"
        options = {"unix_socket_directories": self.directory, **self.settings}
        with open(self.directory / "log", "a") as log:
            self.process = subprocess.Popen(
                self._as_user(f"{self.bin}/postgres", "-D", str(data),
                              *[word for name, value in options.items() for word in ("-c", f"{name}={value}")],
                              ends_with_us=True),
                stdout=log, stderr=log, cwd="/", start_new_session=True)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.query("SELECT 1")
                return
            except subprocess.CalledProcessError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Unavailable(
                        "The private PostgreSQL didn't start:\n" + (self.directory / "log").read_text()) from None
                time.sleep(0.05)

    def stop(self):
        """As 'pg_ctl stop --mode fast' does."""
        self.time_of_earlier_processes = self.processor_time()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, database="postgres", host=None, role="postgres"):
        if host:
            return f"postgresql://{role}:{self.password}@{host}:5432/{database}"
        return f"postgresql://{role}@/{database}?host={self.directory}"

    def query(self, *sql, database="postgres"):
        """Statements, each a transaction, sent by one session. Gives the rows of all of them, each a list of texts."""
        commands = [word for statement in sql for word in ("-c", statement)]
        result = subprocess.run(
            [f"{self.bin}/psql", "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", *commands, self.url(database)],
            check=True, capture_output=True, text=True)
        return [line.split("\t") for line in result.stdout.splitlines()]

    def create(self, database):
        self.query(f"CREATE DATABASE {database}")

    def drop(self, database):
        self.query(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    @property
    def version(self):
        return self.query("SHOW server_version")[0][0]

    def sessions_begun(self, role):
        """As the log has them: with log_connections on."""
        return (self.directory / "log").read_text(errors="replace").count(f"connection authorized: user={role} ")

    def processor_time(self):
        """Seconds that the server's processes have used so far, those that have ended included; but what a stop takes
        is not."""
        own = os.sysconf("SC_CLK_TCK")
        total = self.time_of_earlier_processes * own
        for stat in glob.glob("/proc/[0-9]*/stat"):
            try:
                text = pathlib.Path(stat).read_text()
            except OSError:
                continue
            number = int(text.split(" ", 1)[0])
            fields = text.rsplit(") ", 1)[1].split()
            if number == self.process.pid:
                # utime, stime, and those of children that were waited for
                total += sum(map(int, fields[11:15]))
            elif int(fields[1]) == self.process.pid:
                total += sum(map(int, fields[11:13]))
        return total / own


def ends_in_order():
    """SIGTERM ends the program as an error does, so that nothing is left behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
