"""How long pages take with a million jobs in the table.

    Tests/BrowserTests/measure.py PROGRAM [JOBS]

For each page: the time until the answer is there and until the browser has painted, in milliseconds, the median of ten
and of five times and the longest. The pages take turns, so that what pages share for some seconds has run out when it is
a page's turn again: each asks the database anew.
"""

import os
import statistics
import sys
import time
from urllib.request import Request, urlopen

from playwright.sync_api import sync_playwright

from system import System, chromium, sign_in

PAGES = ["", "?range=day", "?workspace_id=Sample+Sales", "/jobs", "/jobs?status=failed", "/jobs?status=completed",
         "/dead-letters", "/operations", "/workflows", "/schedules", "/queues", "/workers", "/webhooks", "/audit", "/health",
         "/settings"]
ANSWER_MAX, PAINT_MAX = 100, 500
# Seconds; what a page shares with the same page is kept for five at most.
ROUND = 5.5


def fill(system, jobs):
    """Of twenty workspaces and eight types: 93 % completed, 3 % waiting, 2 % failed, 2 % of the rest."""
    system.sql(f"""
        SET session_replication_role = replica;
        INSERT INTO workspaces (name, slug) SELECT 'Customer ' || n, 'customer-' || n FROM generate_series(1, 19) AS n;
        CREATE TEMP TABLE places AS SELECT row_number() OVER () AS place, id FROM workspaces;
        INSERT INTO jobs (workspace_id, job_type, payload, status, priority, attempts, job_queue, created_at, scheduled_for,
                          started_at, completed_at, failed_at, error_message, error_pattern, error_group)
        SELECT places.id, 'type_' || n % 8, '{{"account_id": "5a000000-0000-4000-8000-000000000001"}}',
               CASE WHEN n % 100 < 93 THEN 'completed' WHEN n % 100 < 96 THEN 'pending' WHEN n % 100 < 98 THEN 'failed'
                    WHEN n % 100 < 99 THEN 'cancelled' ELSE 'dead_letter' END,
               n % 3, CASE WHEN n % 100 BETWEEN 93 AND 95 THEN 0 ELSE 1 END,
               (ARRAY['default', 'mail', 'import'])[1 + n % 3],
               now() - n * interval '200 ms', CASE WHEN n % 100 BETWEEN 93 AND 95 THEN now() + interval '1 day' END,
               now() - n * interval '200 ms' + interval '50 ms',
               CASE WHEN n % 100 < 93 THEN now() - n * interval '200 ms' + interval '300 ms' END,
               CASE WHEN n % 100 IN (96, 97, 99) THEN now() - n * interval '200 ms' END,
               CASE WHEN n % 100 IN (96, 97, 99) THEN 'the server answered ' || n % 40 END,
               CASE WHEN n % 100 IN (96, 97, 99) THEN 'the server answered ' || n % 40 END,
               CASE WHEN n % 100 IN (96, 97, 99) THEN 'group-' || lpad((n % 40)::text, 6, '0') END
        FROM generate_series(1, {jobs}) AS n JOIN places ON places.place = 1 + n % 20;
        INSERT INTO jobworker.run_figures
        SELECT span, date_bin(span * interval '1 s', now(), 'epoch') - n * span * interval '1 s', queue, 'type_' || kind,
               100, 3, 2, ARRAY(SELECT (i BETWEEN 6 AND 15)::int * 10 FROM generate_series(1, 32) AS i),
               ARRAY(SELECT (i BETWEEN 9 AND 18)::int * 10 FROM generate_series(1, 32) AS i)
        FROM (VALUES (60, 179), (900, 767)) AS spans (span, most) CROSS JOIN LATERAL generate_series(0, most) AS n
        CROSS JOIN generate_series(0, 7) AS kind CROSS JOIN unnest(ARRAY['default', 'mail', 'import']) AS queue
        ON CONFLICT DO NOTHING""")
    system.sql("VACUUM ANALYZE")


def main(program, jobs):
    system = System(program, demo=False)
    try:
        began = time.monotonic()
        fill(system, jobs)
        print(f"{int(system.sql('SELECT count(*) FROM jobs')):,} jobs, made in {time.monotonic() - began:.0f} s", flush=True)
        failed = system.sql("SELECT id FROM jobs WHERE status = 'failed' LIMIT 1")
        group = system.sql("SELECT max(error_group) FROM jobs WHERE status = 'failed' AND error_group IS NOT NULL")
        measure(system, PAGES + [f"/jobs/{failed}", f"/dead-letters/{group}"])
    finally:
        system.close()


def in_turns(paths):
    """One after the other, and a pause up to the length of a round."""
    began = time.monotonic()
    yield from paths
    time.sleep(max(0, began + ROUND - time.monotonic()))


def painted(page, url):
    """Milliseconds until the browser shows something of it."""
    page.goto(url)
    for _ in range(100):
        entries = page.evaluate(
            "performance.getEntriesByName('first-contentful-paint').map((entry) => entry.startTime)")
        if entries:
            page.goto("about:blank")
            return entries[0]
        page.wait_for_timeout(50)
    raise RuntimeError(f"nothing was painted of {url}")


def measure(system, paths):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page()
        sign_in(page, system)
        cookie = page.context.cookies()[0]
        answers, paints = {path: [] for path in paths}, {path: [] for path in paths}
        # The first finds nothing in memory.
        for number in range(11):
            for path in in_turns(paths):
                request = Request(system.url + path, headers={"Cookie": f"{cookie['name']}={cookie['value']}"})
                began = time.monotonic()
                with urlopen(request) as answer:
                    answer.read()
                if number > 0:
                    answers[path].append((time.monotonic() - began) * 1000)
        for number in range(6):
            for path in in_turns(paths):
                took = painted(page, system.url + path)
                if number > 0:
                    paints[path].append(took)
        slow = []
        print("page | answer, median | longest | first paint, median | longest")
        for path in paths:
            line = [statistics.median(answers[path]), max(answers[path]), statistics.median(paints[path]), max(paints[path])]
            name = path.split("?")[0] if path.count("/") < 2 else path.rsplit("/", 1)[0] + "/…"
            name += "?" + path.split("?")[1] if "?" in path else ""
            print(f"{name or '(overview)'} | " + " | ".join(f"{value:.0f}" for value in line), flush=True)
            if line[0] > ANSWER_MAX or line[2] > PAINT_MAX:
                slow.append(name)
        browser.close()
        print("all within bounds" if not slow else f"too slow: {slow}")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
