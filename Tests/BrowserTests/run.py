"""The dashboard in a real browser: every page, every action through to the database, what a newcomer does.

    Tests/BrowserTests/run.py PROGRAM OUTPUT

PROGRAM is 'jobworker'; screenshots go into the folder OUTPUT. The last line is that of 'scripts/test'.
"""

import http.server
import os
import sys
import threading

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from system import OWNER, System, Tests, chromium, member_token, sign_in

OPERATOR_PAGES = ["/queues", "/workers", "/health", "/settings"]
PAGES = ["", "/jobs", "/dead-letters", "/operations", "/workflows", "/schedules", "/webhooks", "/audit"] + OPERATOR_PAGES


class Receiver:
    """Takes webhooks, and counts them."""

    def __init__(self):
        self.bodies = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                receiver.bodies.append(self.rfile.read(int(self.headers["Content-Length"] or 0)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def main(program, output):
    os.makedirs(output, exist_ok=True)
    for name in os.listdir(output):
        if name.endswith(".png"):
            os.remove(f"{output}/{name}")
    test = Tests(output)
    system = System(program)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
            drive(system, browser, output, test)
            browser.close()
    finally:
        system.close()
    test.end()


def drive(system, browser, output, test):
    complaints, violations = [], []

    def watch(page):
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())

    def new_page(**options):
        context = browser.new_context(**options)
        context.expose_function("noteViolation", lambda directive: violations.append(directive))
        context.add_init_script(
            "document.addEventListener('securitypolicyviolation', (event) => noteViolation(event.violatedDirective))")
        context.set_default_timeout(8000)
        page = context.new_page()
        watch(page)
        return page

    page = test.page = new_page()

    def show(job, at=None):
        (at or page).goto(f"{system.url}/jobs/{job}")

    def press(text):
        page.click(f"main .actions >> text={text}")

    hostile = system.add("fail", '{"message": "<script>alert(1)</script> \\" onload=x"}', max_attempts=1)
    broken = system.add("enrich_account", '{"account_id": "not an id"}')
    system.until(f"SELECT count(*) FROM jobs WHERE id IN ('{hostile}', '{broken}') AND status = 'failed'", "2")
    workflow = system.call("POST", "/api/workflows", {
        "workspace_id": system.workspace, "name": "import", "jobs": [
            {"name": "fetch", "job_type": "noop"},
            {"name": "parse", "job_type": "sleep", "payload": {"seconds": 600}, "after": ["fetch"]},
            {"name": "clean", "job_type": "noop", "after": ["fetch"]},
            {"name": "report", "job_type": "noop", "after": ["parse", "clean"]}]})["id"]
    parse = system.sql(f"SELECT id FROM jobs WHERE workflow_id = '{workflow}' AND workflow_step = 'parse'")
    schedule = system.call("POST", "/api/schedules", {
        "workspace_id": system.workspace, "name": "nightly", "job_type": "noop", "cron": "0 3 * * *",
        "timezone": "Europe/Berlin"})["id"]
    receiver = Receiver()
    every = PAGES + [f"/jobs/{broken}", f"/jobs/{parse}", f"/workflows/{workflow}"]

    # MARK: Who gets in

    @test
    def nobody_sees_a_page_without_signing_in():
        for path in every:
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
        sign_in(page, system)
        assert page.inner_text("h1") == "Overview"
        cookie = page.context.cookies()[0]
        assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
        assert cookie["value"] not in system.sql("SELECT digest FROM jobworker.sessions")

    # MARK: What a newcomer does, given only 'scripts/demo'

    @test
    def a_newcomer_finds_the_failed_job_reads_why_mends_the_payload_and_replays_it():
        page.goto(system.url)
        page.click("nav >> text=Dead letters")
        page.click("a:has-text('No organization data found')")
        page.locator("tbody tr td a code").first.click()
        old = page.url.rsplit("/", 1)[1]
        assert "No organization data found" in page.inner_text(".problem")
        assert "can't mend" in page.inner_text("[data-part=why]")
        page.fill("#payload", '{"account_id": "%s"}' % system.account)
        page.click("text=Replay with this payload")
        page.wait_for_selector(".head .state-completed")
        new = page.url.rsplit("/", 1)[1]
        assert system.sql(f"SELECT replay_of = '{old}' FROM jobs WHERE id = '{new}'") == "t"
        assert system.sql(f"SELECT via FROM job_audit WHERE job_id = '{new}'") == "dashboard"

    @test
    def a_payload_that_is_no_json_is_refused_and_changes_nothing():
        jobs = system.sql("SELECT count(*) FROM jobs")
        show(broken)
        page.fill("#payload", "{broken")
        page.click("text=Replay with this payload")
        assert "not JSON" in page.inner_text("[role=alert]")
        assert system.sql("SELECT count(*) FROM jobs") == jobs
        complaints.clear()

    # MARK: Every page

    @test
    def every_page_answers_and_has_no_barriers():
        for path in every:
            answer = page.goto(system.url + path)
            assert answer.status == 200, f"{path}: {answer.status}"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            found = Axe().run(page).response["violations"]
            assert not found, [(path, entry["id"], entry["nodes"][0]["html"][:200]) for entry in found]

    @test
    def hostile_text_stays_text():
        show(hostile)
        assert "<script>alert(1)</script>" in page.inner_text("main")
        assert page.locator("main script").count() == 0
        page.goto(system.url + "/dead-letters")
        assert page.locator("main script").count() == 0

    @test
    def all_assets_together_are_smaller_than_150_kilobytes():
        folder = os.path.join(os.path.dirname(__file__), "../../Sources/Dashboard/Assets")
        size = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))
        assert 0 < size < 150_000, size

    @test
    def nothing_is_asked_of_other_hosts():
        hosts = set()
        page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        for path in every:
            page.goto(system.url + path)
        assert hosts == {f"127.0.0.1:{system.port}"}, hosts

    @test
    def settings_are_shown_with_their_origin_and_secrets_are_not():
        page.goto(system.url + "/settings")
        text = page.inner_text("main")
        assert "WORKER_MAX_CONCURRENT" in text and "environment" in text
        assert system.variables["WORKER_SECRET_TOKEN"] not in page.content()

    @test
    def what_ran_is_shown_by_hour_and_day_type_and_queue():
        page.goto(system.url)
        system.until("SELECT sum(completed) > 5 FROM jobworker.run_figures WHERE span = 60", "t", 30)
        page.select_option("select[name=range]", "day")
        page.click(".filters >> text=Show")
        assert "last day" in page.inner_text("main")
        page.wait_for_selector(".chart rect.good", state="attached")
        page.click("[data-part=kinds] a:has-text('enrich_account')")
        assert "job_type=enrich_account" in page.url
        assert page.input_value("select[name=job_type]") == "enrich_account"

    @test
    def alerts_tell_of_types_that_nobody_serves():
        system.add("nobody_serves_this", created_at="now() - interval '5 minutes'")
        page.goto(system.url)
        page.wait_for_selector(".alert:has-text('nobody_serves_this')", timeout=20000)
        system.sql("DELETE FROM jobs WHERE job_type = 'nobody_serves_this'")

    @test
    def a_workspace_is_chosen_by_its_name():
        page.goto(system.url)
        page.fill("#workspace", "Without a key")
        page.click("form.workspace button")
        page.wait_for_url("**?workspace_id=Without+a+key")
        page.click("nav >> text=Jobs")
        page.wait_for_url("**/jobs?workspace_id=*")
        rows = page.locator("main tbody tr")
        assert rows.count() == 1 and "Without a key" in rows.first.inner_text()
        page.click("form.workspace >> text=All")
        page.wait_for_url("**/jobs")
        assert page.locator("main tbody tr").count() > 1

    # MARK: Jobs

    @test
    def a_failed_job_is_retried():
        show(hostile)
        press("Retry")
        system.until(f"SELECT count(*) FROM job_audit WHERE job_id = '{hostile}' AND action = 'job.retry'", "1")

    @test
    def a_waiting_job_says_why_and_is_run_now():
        job = system.add("noop", scheduled_for="now() + interval '1 day'")
        show(job)
        assert "in 24 h" in page.inner_text("main") or "tomorrow" in page.inner_text("[data-part=why]") \
            or "scheduled" in page.inner_text("[data-part=why]"), page.inner_text("[data-part=why]")
        press("Run now")
        page.wait_for_selector(".head .state-completed")

    @test
    def progress_and_log_are_seen_as_they_happen_and_a_running_job_is_cancelled():
        job = system.add("progress", '{"steps": 300, "seconds": 60}')
        show(job)
        page.wait_for_selector("#live[data-state=on]")
        page.wait_for_selector(".state-processing")
        page.wait_for_selector("progress:not([value='0'])")
        before = page.get_attribute("progress", "value")
        page.wait_for_selector(f"progress:not([value='{before}'])")
        press("Cancel")
        system.until(f"SELECT status FROM jobs WHERE id = '{job}'", "cancelled")
        page.wait_for_selector(".head .state-cancelled")
        assert "Attempt 1" in page.inner_text("[data-part=timeline]")

    @test
    def a_job_is_deleted():
        job = system.add("noop")
        system.until(f"SELECT status FROM jobs WHERE id = '{job}'", "completed")
        show(job)
        press("Delete")
        system.until(f"SELECT count(*) FROM jobs WHERE id = '{job}'", "0")

    @test
    def dependencies_are_a_picture_that_leads_on():
        show(parse)
        page.wait_for_selector(".graph .node.here")
        assert page.locator(".graph a").count() == 3
        page.click(".graph a:has-text('fetch')")
        page.wait_for_selector("[data-part=relations]")
        page.click("text=The whole workflow")
        assert page.inner_text("h1") == "Workflow import"

    @test
    def many_jobs_are_counted_then_cancelled():
        for _ in range(3):
            system.add("noop", scheduled_for="now() + interval '1 day'", job_queue="'later'")
        page.goto(f"{system.url}/jobs?job_queue=later")
        page.check("input[name=all]")
        page.click("text=Cancel…")
        assert "3" in page.inner_text("h1")
        page.fill("input[name=reason]", "browser test")
        page.click("button.main")
        assert "3 of 3" in page.inner_text(".verdict")
        assert system.sql("SELECT count(*) FROM jobs WHERE job_queue = 'later' AND status = 'cancelled'") == "3"
        assert system.sql("SELECT count(*) FROM job_audit WHERE reason = 'browser test'") == "3"

    @test
    def chosen_jobs_are_retried():
        page.goto(f"{system.url}/jobs?job_queue=later")
        page.locator("tbody input[type=checkbox]").first.check()
        page.click("text=Retry…")
        assert page.inner_text("h1") == "Retry 1 jobs?"
        page.click("button.main")
        system.until("SELECT count(*) FROM jobs WHERE job_queue = 'later' AND status = 'cancelled'", "2")

    @test
    def a_list_follows_its_jobs_and_new_ones_wait_behind_a_button():
        job = system.add("noop", scheduled_for="now() + interval '1 day'", job_queue="'live'")
        page.goto(f"{system.url}/jobs")
        page.wait_for_selector("#live[data-state=on]")
        # The first reading after the stream began.
        page.wait_for_timeout(1000)
        asked = []
        page.on("request", lambda request: asked.append(request.url) if request.resource_type == "fetch" else None)
        system.sql(f"UPDATE jobs SET status = 'cancelled' WHERE id = '{job}'")
        page.wait_for_selector(f"tr[data-job='{job}'] .state-cancelled")
        system.add("noop", scheduled_for="now() + interval '1 day'", job_queue="'live'")
        page.wait_for_selector("#newer:visible")
        assert page.locator("tr[data-job]").first.get_attribute("data-job") == job
        assert not asked, asked
        page.click("#newer")
        page.wait_for_selector("tr[data-job]")
        assert page.locator("tr[data-job]").first.get_attribute("data-job") != job

    @test
    def jobs_are_found_by_id_and_by_error_and_pages_lead_on():
        page.goto(system.url)
        page.fill("#search", broken[:8])
        page.press("#search", "Enter")
        assert page.locator("tr[data-job]").count() == 1
        page.goto(f"{system.url}/jobs?q=nonsense-that-nothing-has")
        assert "No job fits" in page.inner_text("main")
        system.sql(f"INSERT INTO jobs (workspace_id, job_type, payload, scheduled_for, job_queue) "
                   f"SELECT '{system.workspace}', 'noop', '{{}}', now() + interval '1 day', 'many' FROM generate_series(1, 60)")
        page.goto(f"{system.url}/jobs?job_queue=many")
        assert page.locator("tr[data-job]").count() == 50
        page.click("[data-page=older]")
        assert page.locator("tr[data-job]").count() == 10

    # MARK: Dead letters and operations

    @test
    def a_group_of_failed_jobs_is_replayed_with_a_changed_payload_at_a_rate():
        for _ in range(3):
            system.add("enrich_account", '{"account_id": "bad"}', max_attempts=1, job_queue="'default'")
        system.until("SELECT count(*) FROM jobs WHERE payload->>'account_id' = 'bad' AND status = 'failed'", "3")
        page.goto(system.url + "/dead-letters")
        page.click("a:has-text('is not a UUID')")
        page.check("input[name=action][value=replay]")
        page.fill("input[name=rate]", "50")
        page.fill("textarea[name=set]", f'account_id = "{system.account}"')
        page.click("text=Count them…")
        count = int(page.inner_text("h1").split()[1])
        assert count >= 4, count
        page.click("button.main")
        page.wait_for_url("**/operations/*")
        page.wait_for_selector(".state-done", timeout=30000)
        replayed = "FROM jobs WHERE replay_of IN (SELECT id FROM jobs WHERE payload->>'account_id' = 'bad')"
        system.until(f"SELECT count(*) {replayed} AND status = 'completed'", "3")

    @test
    def a_group_is_set_aside_then_discarded():
        for _ in range(2):
            system.add("fail", '{"message": "to be discarded"}', max_attempts=1)
        dead = "FROM jobs WHERE payload->>'message' = 'to be discarded'"
        system.until(f"SELECT count(*) {dead} AND status = 'failed'", "2")
        page.goto(system.url + "/dead-letters")
        page.click("a:has-text('to be discarded')")
        group = page.url
        page.check("input[name=action][value=dead_letter]")
        page.click("text=Count them…")
        page.click("button.main")
        page.wait_for_selector(".state-done", timeout=30000)
        system.until(f"SELECT count(*) {dead} AND status = 'dead_letter'", "2")
        page.goto(group)
        page.check("input[name=action][value=delete]")
        page.click("text=Count them…")
        page.click("button.main")
        page.wait_for_selector(".state-done", timeout=30000)
        system.until(f"SELECT count(*) {dead}", "0")

    @test
    def an_operation_is_paused_resumed_and_aborted():
        system.sql(f"INSERT INTO jobs (workspace_id, job_type, payload, max_attempts) "
                   f"SELECT '{system.workspace}', 'fail', '{{\"message\": \"for an operation\"}}', 1 FROM generate_series(1, 20)")
        system.until("SELECT count(*) FROM jobs WHERE error_message LIKE '%for an operation%' AND status = 'failed'", "20")
        page.goto(system.url + "/dead-letters")
        page.click("a:has-text('for an operation')")
        page.fill("input[name=rate]", "0.5")
        page.click("text=Count them…")
        page.click("button.main")
        page.wait_for_url("**/operations/*")
        operation = page.url.rsplit("/", 1)[1]
        for button, state in (("Pause", "paused"), ("Resume", "running"), ("Abort", "aborted")):
            press(button)
            system.until(f"SELECT state FROM job_operations WHERE id = '{operation}'", state)
        page.goto(system.url + "/operations")
        assert "aborted" in page.inner_text("tbody")

    # MARK: Workflows, schedules, webhooks, queues, limits

    @test
    def a_workflow_is_a_picture_with_live_states_and_is_cancelled_and_retried():
        page.goto(system.url + "/workflows")
        page.click("tbody a >> nth=0")
        page.wait_for_selector(".graph .node.state-processing:has-text('parse')")
        press("Cancel")
        page.wait_for_selector(".graph .node.state-cancelled:has-text('parse')")
        system.until(f"SELECT status FROM jobs WHERE id = '{parse}'", "cancelled")
        system.until(f"SELECT lease_open FROM jobs WHERE id = '{parse}'", "f")
        press("Retry what failed")
        page.wait_for_selector(".graph .node.state-processing:has-text('parse')", timeout=20000)

    @test
    def a_schedule_is_run_paused_and_resumed():
        page.goto(system.url + "/schedules")
        assert page.locator("td time").count() >= 3
        press("Run now")
        system.until(f"SELECT count(*) FROM jobs WHERE schedule_id = '{schedule}'", "1")
        press("Pause")
        system.until(f"SELECT enabled FROM job_schedules WHERE id = '{schedule}'", "f")
        press("Resume")
        system.until(f"SELECT enabled FROM job_schedules WHERE id = '{schedule}'", "t")

    @test
    def a_webhook_is_added_tested_redelivered_disabled_enabled_and_removed():
        page.goto(system.url + "/webhooks")
        page.select_option("select[name=workspace]", label="Sample Sales")
        page.fill("input[name=url]", receiver.url)
        page.check("input[value='job.failed']")
        page.click("button:text-is('Add')")
        assert page.inner_text("#secret").startswith("whsec_")
        page.click("text=To the endpoint")
        endpoint = page.url.rsplit("/", 1)[1]
        press("Test")
        system.until(f"SELECT status FROM webhook_deliveries WHERE endpoint_id = '{endpoint}'", "delivered")
        page.wait_for_selector("tbody .state-delivered", timeout=15000)
        page.click("text=Redeliver")
        for _ in range(100):
            if len(receiver.bodies) == 2:
                break
            page.wait_for_timeout(100)
        assert len(receiver.bodies) == 2
        press("Disable")
        system.until(f"SELECT enabled FROM webhook_endpoints WHERE id = '{endpoint}'", "f")
        press("Enable")
        system.until(f"SELECT enabled FROM webhook_endpoints WHERE id = '{endpoint}'", "t")
        press("Remove")
        system.until(f"SELECT count(*) FROM webhook_endpoints WHERE id = '{endpoint}'", "0")

    @test
    def a_queue_is_paused_resumed_and_gets_rules():
        system.add("noop", scheduled_for="now() + interval '1 day'", job_queue="'odd/name'")
        system.add("noop", scheduled_for="now() + interval '1 day'", job_queue="'mail & more'")
        page.goto(f"{system.url}/queues")
        assert "jobworker queues pause 'odd/name'" in page.inner_text("main")
        row = page.locator("tr", has_text="mail & more")
        row.locator("text=Pause").click()
        system.until("SELECT count(*) FROM job_queues WHERE name = 'mail & more' AND paused_at IS NOT NULL", "1")
        page.goto(system.url)
        assert "mail & more is paused" in page.inner_text(".alerts")
        page.goto(f"{system.url}/queues")
        row.locator("text=Resume").click()
        system.until("SELECT count(*) FROM job_queues WHERE name = 'mail & more' AND paused_at IS NULL", "1")
        row.locator("text=Rules…").click()
        page.fill("input[name=max_running]", "7")
        page.fill("input[name=weight]", "3")
        page.check("input[name=fair]")
        page.check("input[name=dead_letter]")
        page.click("button:text-is('Set')")
        system.until("SELECT max_running || ' ' || weight || ' ' || fair || ' ' || dead_letter FROM job_queues "
                     "WHERE name = 'mail & more'", "7 3 true true")
        assert "of 7" in row.inner_text() and "take turns" in row.inner_text()

    @test
    def a_limit_is_added_and_removed():
        page.goto(f"{system.url}/queues")
        page.click("text=Add a limit")
        page.fill("input[name=name]", "careful")
        page.fill("form[action$='limits/set'] input[name=job_type]", "enrich_account")
        page.fill("form[action$='limits/set'] input[name=max_running]", "2")
        page.click("button:text-is('Add')")
        system.until("SELECT max_running FROM job_limits WHERE name = 'careful'", "2")
        page.click("tr:has-text('careful') >> text=Remove")
        system.until("SELECT count(*) FROM job_limits", "0")

    @test
    def the_audit_is_filtered():
        page.goto(f"{system.url}/audit")
        assert page.locator("main tbody tr").count() > 5
        page.fill("input[name=action]", "queue.pause")
        page.select_option("select[name=via]", "dashboard")
        page.click("text=Filter")
        page.wait_for_url("**action=queue.pause**")
        assert page.locator("main tbody tr").count() == 1 and "mail & more" in page.inner_text("tbody")

    # MARK: Borders

    @test
    def a_form_from_elsewhere_changes_nothing():
        show(broken)
        page.eval_on_selector("main .actions input[name=form_token]", "input => { input.value = 'forged' }")
        press("Retry")
        assert "Nothing was changed" in page.inner_text("[role=alert]")
        assert system.sql(f"SELECT status FROM jobs WHERE id = '{broken}'") in ("failed", "dead_letter")
        complaints.clear()

    @test
    def a_member_sees_the_own_workspaces_alone():
        user = system.sql("INSERT INTO auth.users (email) VALUES ('member@example.com') RETURNING id")
        system.sql(f"INSERT INTO workspace_members (workspace_id, user_id, role) VALUES ('{system.workspace}', '{user}', 'sdr')")
        foreign = system.sql(f"SELECT id FROM jobs WHERE workspace_id <> '{system.workspace}' LIMIT 1")
        own = new_page()
        sign_in(own, system, member_token(user))
        for path in [each for each in PAGES if each not in OPERATOR_PAGES]:
            answer = own.goto(system.url + path)
            assert answer.status == 200, f"{path}: {answer.status}"
            assert "Without a key" not in own.content(), path
        assert own.locator("nav >> text=Queues").count() == 0
        for path in OPERATOR_PAGES + [f"/jobs/{foreign}"]:
            assert own.goto(system.url + path).status in (403, 404), path
        complaints.clear()
        own.context.close()

    # MARK: Without a mouse, without a script

    @test
    def keys_alone_lead_to_a_job_and_retry_it():
        job = system.add("fail", '{"message": "by keys"}', max_attempts=1)
        system.until(f"SELECT status FROM jobs WHERE id = '{job}'", "failed")
        page.goto(system.url)
        page.keyboard.press("g")
        page.keyboard.press("j")
        page.wait_for_url("**/jobs")
        page.keyboard.press("/")
        page.keyboard.type(job[:8])
        page.keyboard.press("Enter")
        page.wait_for_url("**q=*")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/jobs/{job}")
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent") == "Retry":
                break
        page.keyboard.press("Enter")
        system.until(f"SELECT count(*) FROM job_audit WHERE job_id = '{job}' AND action = 'job.retry'", "1")
        page.wait_for_timeout(500)

    @test
    def keys_are_listed_and_can_be_switched_off():
        page.goto(system.url)
        page.keyboard.press("?")
        assert page.locator("dialog[open]").count() == 1
        page.check("#keys-off")
        page.click("text=Close")
        page.keyboard.press("g")
        page.keyboard.press("j")
        page.wait_for_timeout(300)
        assert page.url == system.url
        page.evaluate("localStorage.removeItem('keys')")

    @test
    def pages_can_be_read_and_used_without_a_script():
        other = new_page(java_script_enabled=False)
        sign_in(other, system)
        show(broken, other)
        assert "account_id" in other.inner_text("main")
        other.fill("#payload", '{"account_id": "%s"}' % system.account)
        other.click("text=Replay with this payload")
        assert "/jobs/" in other.url and broken not in other.url
        for path in every:
            assert other.goto(system.url + path).status == 200, path
        other.context.close()

    @test
    def a_page_says_that_it_is_disconnected_and_recovers():
        show(broken)
        page.wait_for_selector("#live[data-state=on]")
        page.context.set_offline(True)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_selector("#live[data-state=lost]")
        page.context.set_offline(False)
        page.wait_for_selector("#live[data-state=on]", timeout=20000)
        # The browser itself complains of the lost connection.
        complaints.clear()

    # MARK: Looks

    @test
    def screenshots_are_taken_and_a_phone_shows_no_wider_page():
        for look, options in {
            "light": {"color_scheme": "light"}, "dark": {"color_scheme": "dark"},
            "phone": {"viewport": {"width": 390, "height": 844}},
        }.items():
            other = new_page(**options)
            sign_in(other, system)
            for path in every:
                other.goto(system.url + path)
                name = path.split("/")[1] if path else "overview"
                if path.count("/") == 2:
                    name = {parse: "job-running", broken: "job-failed", workflow: "workflow"}[path.split("/")[2]]
                other.screenshot(path=f"{output}/{name}-{look}.png", full_page=True)
                wide = other.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, f"{name} on a {look} is {wide} pixels too wide"
                if look == "dark" and path not in OPERATOR_PAGES:
                    found = Axe().run(other, options={"runOnly": ["color-contrast"]}).response["violations"]
                    assert not found, [(path, entry["nodes"][0]["html"][:200]) for entry in found]
            other.context.close()

    @test
    def a_row_that_has_just_changed_can_be_read_as_well():
        for look in ("light", "dark"):
            other = new_page(color_scheme=look)
            sign_in(other, system)
            other.goto(f"{system.url}/jobs")
            # Held at its beginning, where a row stands out most.
            held = other.evaluate("""() => {
                document.querySelectorAll("tr[data-job]").forEach((row) => row.classList.add("changed"));
                const flashes = document.getAnimations().filter((each) => each.animationName === "changed");
                flashes.forEach((each) => { each.pause(); each.currentTime = 0; });
                return flashes.length;
            }""")
            assert held > 10, f"{held} rows"
            found = Axe().run(other, options={"runOnly": ["color-contrast"]}).response["violations"]
            assert not found, [(look, entry["nodes"][0]["html"][:200]) for entry in found]
            other.context.close()

    # MARK: Many pages

    @test
    def fifty_open_pages_cost_the_database_no_more_than_one():
        state = page.context.storage_state()

        def cost(open_pages):
            """Transactions of ten seconds in which jobs change, with so many pages open."""
            contexts = []
            for index in range(open_pages):
                # A browser has six connections to a server for all pages of a context.
                if index % 4 == 0:
                    contexts.append(browser.new_context(storage_state=state))
                each = contexts[-1].new_page()
                each.goto(system.url + ("" if index % 2 == 0 else "/jobs"))
            for context in contexts:
                for each in context.pages:
                    each.wait_for_selector("#live[data-state=on]")
            page.wait_for_timeout(3000)
            count = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
            before = int(system.sql(count))
            for _ in range(8):
                system.add("noop")
                page.wait_for_timeout(1000)
            page.wait_for_timeout(2000)
            after = int(system.sql(count))
            for context in contexts:
                context.close()
            page.wait_for_timeout(500)
            return after - before

        page.goto("about:blank")
        two, fifty = cost(2), cost(50)
        print(f"    transactions in ten seconds: {two} with one page of each kind, {fifty} with 25 of each")
        assert fifty <= two * 1.4, (two, fifty)

    # MARK: The end

    @test
    def signing_out_ends_the_session():
        page.goto(system.url)
        page.click("text=Sign out")
        page.goto(f"{system.url}/jobs")
        assert page.url.endswith("/sign-in")

    @test
    def the_browser_had_nothing_to_complain_of():
        assert not complaints, complaints

    @test
    def nothing_broke_the_content_policy():
        assert not violations, violations


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]), sys.argv[2])
