"""The pictures of the README: the overview, a job and the dead letters of the sample system.

    Tests/BrowserTests/pictures.py PROGRAM FOLDER
"""

import os
import sys

from playwright.sync_api import sync_playwright

from system import System, chromium, sign_in


def main(program, folder):
    os.makedirs(folder, exist_ok=True)
    system = System(program)
    try:
        # Something to look at: figures of an hour, as they would be stored by workers.
        system.sql("""
            INSERT INTO jobworker.run_figures
            SELECT 60, date_bin('1 minute', now(), 'epoch') - n * interval '1 minute', 'default', kind.name,
                   (kind.many * (1.2 + sin(n / 7.0 + kind.many)))::int, (n % 13 = 5)::int * kind.many / 6, 0,
                   ARRAY(SELECT (i BETWEEN 5 AND 12 + n % 4)::int * 3 FROM generate_series(1, 32) AS i),
                   ARRAY(SELECT (i BETWEEN 9 AND 14 + n % 3)::int * 3 FROM generate_series(1, 32) AS i)
            FROM generate_series(1, 59) AS n
            CROSS JOIN (VALUES ('enrich_account', 40), ('enrich_contact', 24), ('send_report', 9)) AS kind (name, many)
            ON CONFLICT DO NOTHING""")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1200, "height": 760})
            sign_in(page, system)
            failed = system.sql("SELECT id FROM jobs WHERE error_message LIKE 'No organization data%' LIMIT 1")
            for name, path in (("overview", ""), ("dead-letters", "/dead-letters"), ("job", f"/jobs/{failed}")):
                page.goto(system.url + path)
                page.wait_for_selector("#live[data-state=on]")
                page.screenshot(path=f"{folder}/dashboard-{name}.png")
                size = os.path.getsize(f"{folder}/dashboard-{name}.png")
                print(f"{folder}/dashboard-{name}.png: {size // 1000} kB")
                assert size < 150_000
            browser.close()
    finally:
        system.close()


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]), sys.argv[2])
