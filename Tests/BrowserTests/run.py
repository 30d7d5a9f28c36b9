"""The dashboard in a real browser: every page, every action through to the database, what a newcomer does.

    Tests/BrowserTests/run.py PROGRAM OUTPUT

PROGRAM is 'jobworker'; screenshots go into the folder OUTPUT. The last line is that of 'scripts/test'.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from playwright.sync_api import sync_playwright

try:
    from axe_playwright_python.sync_playwright import Axe
except ImportError:
    Axe = None

PAGES = ["", "/jobs", "/dead-letters", "/schedules", "/queues", "/workers", "/audit", "/health"]
results = {"passed": 0, "failed": 0}


class System:
    """'jobworker dev' with its own PostgreSQL, until it is closed."""

    def __init__(self, program):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [program, "dev", "--listen", f"127.0.0.1:{self.port}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
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
        self.url = f"http://127.0.0.1:{self.port}/dashboard"

    def sql(self, text):
        done = subprocess.run(
            ["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", self.variables["DATABASE_URL"], "-c", text],
            capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def add(self, job_type, payload="{}", **columns):
        names = "".join(f", {name}" for name in columns)
        values = "".join(f", {value}" for value in columns.values())
        return self.sql(
            f"INSERT INTO jobs (workspace_id, job_type, payload{names}) VALUES "
            f"('{self.variables['WORKSPACE']}', '{job_type}', $json${payload}$json${values}) RETURNING id")

    def until(self, query, wanted, seconds=20):
        end = time.monotonic() + seconds
        while (found := self.sql(query)) != wanted:
            assert time.monotonic() < end, f"{query}: {found} instead of {wanted}"
            time.sleep(0.1)

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=60)
        self.drain.wait(timeout=10)


def test(function):
    started = time.monotonic()
    name = function.__name__.replace("_", " ")
    try:
        function()
        results["passed"] += 1
        print(f"ok {name} ({time.monotonic() - started:.1f} s)", flush=True)
    except Exception as error:
        results["failed"] += 1
        print(f"FAILED {name}: {error}", flush=True)


def main(program, output):
    os.makedirs(output, exist_ok=True)
    system = System(program)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            drive(system, browser, output)
            browser.close()
    finally:
        system.close()


def drive(system, browser, output):
    complaints = []

    def new_page(**options):
        page = browser.new_context(**options).new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())
        return page

    def sign_in(page):
        page.goto(system.url)
        page.fill("#token", system.variables["WORKER_SECRET_TOKEN"])
        page.click("button.main")
        page.wait_for_url(system.url)

    def show(page, job):
        page.goto(f"{system.url}/jobs/{job}")

    page = new_page()
    failed = system.add("fail", '{"message": "<script>alert(1)</script> \\" onload=x"}', max_attempts=1)
    broken = system.add("enrich_account", '{"account_id": "not an id"}')
    system.until(f"SELECT count(*) FROM jobs WHERE id IN ('{failed}', '{broken}') AND status = 'failed'", "2")

    @test
    def nobody_sees_a_page_without_signing_in():
        for path in PAGES + [f"/jobs/{failed}"]:
            page.goto(system.url + path)
            assert page.url.endswith("/sign-in"), page.url

    @test
    def a_wrong_token_lets_nobody_in():
        page.goto(system.url)
        page.fill("#token", "wrong")
        page.click("button.main")
        assert "lets nobody in" in page.inner_text("[role=alert]")
        # The browser itself complains of the status 401.
        complaints.clear()

    @test
    def an_operator_signs_in():
        sign_in(page)
        assert page.inner_text("h1") == "Overview"
        cookie = page.context.cookies()[0]
        assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
        assert cookie["value"] not in system.sql("SELECT digest FROM jobworker.sessions")

    @test
    def every_page_answers_and_has_no_barriers():
        for path in PAGES + [f"/jobs/{failed}"]:
            answer = page.goto(system.url + path)
            assert answer.status == 200, f"{path}: {answer.status}"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            if Axe:
                found = Axe().run(page).response["violations"]
                assert not found, [(path, entry["id"], entry["nodes"][0]["html"][:120]) for entry in found]

    @test
    def hostile_text_stays_text():
        show(page, failed)
        assert "<script>alert(1)</script>" in page.inner_text("main")
        assert page.locator("main script").count() == 0

    @test
    def a_newcomer_finds_the_failed_job_reads_why_mends_and_replays_it():
        page.goto(system.url)
        page.click("text=Dead letters")
        row = page.locator("tr", has_text="enrich_account").first
        row.locator("code").click()
        assert "account_id" in page.inner_text("[data-part=why]") + page.inner_text(".problem")
        page.fill("#payload", '{"account_id": "%s"}' % system.variables["ACCOUNT"])
        page.click("text=Replay with this payload")
        page.wait_for_selector(".state-completed")
        added = page.url.rsplit("/", 1)[1]
        assert system.sql(f"SELECT replay_of = '{broken}' FROM jobs WHERE id = '{added}'") == "t"
        assert system.sql(f"SELECT via FROM job_audit WHERE job_id = '{added}'") == "dashboard"

    @test
    def a_failed_job_is_retried():
        show(page, failed)
        page.click("main .actions >> text=Retry")
        system.until(f"SELECT count(*) FROM job_audit WHERE job_id = '{failed}' AND action = 'job.retry'", "1")

    @test
    def progress_is_seen_as_it_happens_and_a_running_job_is_cancelled():
        job = system.add("sleep", '{"seconds": 60}')
        show(page, job)
        page.wait_for_selector("#live[data-state=on]")
        page.wait_for_selector(".state-processing")
        page.click("main .actions >> text=Cancel")
        system.until(f"SELECT status FROM jobs WHERE id = '{job}'", "cancelled")
        page.wait_for_selector(".state-cancelled")

    @test
    def a_job_is_deleted():
        job = system.add("noop")
        system.until(f"SELECT status FROM jobs WHERE id = '{job}'", "completed")
        show(page, job)
        page.click("main .actions >> text=Delete")
        system.until(f"SELECT count(*) FROM jobs WHERE id = '{job}'", "0")

    @test
    def many_jobs_are_counted_then_cancelled():
        for _ in range(3):
            system.add("noop", scheduled_for="now() + interval '1 day'", job_queue="'later'")
        page.goto(f"{system.url}/jobs?job_queue=later")
        page.check("input[name=all]")
        page.click("text=Cancel…")
        assert "3" in page.inner_text("h1")
        page.click("button.main")
        assert "3 of 3" in page.inner_text(".verdict")
        assert system.sql("SELECT count(*) FROM jobs WHERE job_queue = 'later' AND status = 'cancelled'") == "3"

    @test
    def a_queue_is_paused_and_resumed():
        system.add("noop", scheduled_for="now() + interval '1 day'", job_queue="'odd/name'")
        system.add("noop", scheduled_for="now() + interval '1 day'", job_queue="'mail'")
        page.goto(f"{system.url}/queues")
        row = page.locator("tr", has_text="mail")
        row.locator("button").click()
        system.until("SELECT count(*) FROM job_queues WHERE name = 'mail' AND paused_at IS NOT NULL", "1")
        page.locator("tr", has_text="mail").locator("button").click()
        system.until("SELECT count(*) FROM job_queues WHERE name = 'mail' AND paused_at IS NULL", "1")

    @test
    def a_form_from_elsewhere_changes_nothing():
        show(page, broken)
        page.eval_on_selector("main .actions input[name=form_token]", "input => { input.value = 'forged' }")
        page.click("main .actions >> text=Retry")
        assert "Nothing was changed" in page.inner_text("[role=alert]")
        assert system.sql(f"SELECT status FROM jobs WHERE id = '{broken}'") == "failed"
        complaints.clear()

    @test
    def keys_lead_to_the_pages():
        page.goto(system.url)
        page.keyboard.press("g")
        page.keyboard.press("j")
        page.wait_for_url("**/jobs")
        page.keyboard.press("?")
        assert page.locator("dialog[open]").count() == 1
        page.keyboard.press("Escape")

    @test
    def pages_can_be_read_without_a_script():
        other = new_page(java_script_enabled=False)
        sign_in(other)
        show(other, broken)
        assert "account_id" in other.inner_text("main")
        other.context.close()

    @test
    def screenshots_are_taken_and_a_phone_shows_no_wider_page():
        for look, options in {
            "light": {"color_scheme": "light"}, "dark": {"color_scheme": "dark"},
            "phone": {"viewport": {"width": 390, "height": 844}},
        }.items():
            other = new_page(**options)
            sign_in(other)
            for path in PAGES + [f"/jobs/{broken}"]:
                other.goto(system.url + path)
                name = path.split("/")[1] if path else "overview"
                name = "job" if path.count("/") == 2 else name
                other.screenshot(path=f"{output}/{name}-{look}.png")
                wide = other.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, f"{name} on a {look} is {wide} pixels too wide"
            other.context.close()

    @test
    def signing_out_ends_the_session():
        page.goto(system.url)
        page.click("text=Sign out")
        page.goto(f"{system.url}/jobs")
        assert page.url.endswith("/sign-in")

    @test
    def the_browser_had_nothing_to_complain_of():
        assert not complaints, complaints


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]), sys.argv[2])
    print(f"{results['passed']} passed, {results['failed']} failed")
    sys.exit(results["failed"] > 0)
