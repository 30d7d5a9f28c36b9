#!/usr/bin/env python3
"""Turns the results of scripts/bench into a table and a picture.

    report.py RESULTS.json                        writes the table to standard output
    report.py RESULTS.json --table T.md --picture P.svg
    report.py RESULTS.json --adopt                writes the head figures into README.md and docs/images/throughput.svg

The results are a JSON object: 'measures' is a list of objects with 'id', 'title', 'unit', and 'values', which gives for
each actor, such as 'jobworker', 'bound' or a peer, a list of numbers, one for each round.
"""

import argparse
import json
import pathlib
import re
import statistics
import sys
from xml.sax.saxutils import escape

ROOT = pathlib.Path(__file__).resolve().parent.parent
PICTURE = "docs/images/throughput.svg"
OURS, BOUND = "jobworker", "bound"
# What the README tells; the whole is in table.md.
HEADLINES = [
    "drain_5", "drain_5_silent", "drain_50", "drain_50_fused", "drain_50_silent",
    "drain_500", "drain_500_fused", "drain_500_silent",
    "drain_2x50", "drain_4x50",
    "enqueue_one_by_one", "enqueue_concurrent", "enqueue_batches",
    "enqueue_one_by_one_idle_worker", "enqueue_concurrent_idle_worker",
    "latency_p50", "latency_p50_bare", "latency_p99", "latency_p99_bare",
    "start", "ready", "idle_memory", "idle_cpu", "idle_transactions", "memory_running", "memory_after",
    "allocations_5", "allocations_50", "allocations_500",
    "claim finished jobs p99", "claim future jobs of any priority p99", "claim due jobs in ten other queues p99",
    "claim due jobs of a type nobody serves p99", "claim dead rows after churn p99",
    "claim dead rows under an old snapshot p99", "claim old jobs that retention takes away meanwhile p99",
    "scale_rate", "scale_pgbench", "scale_idle_1000", "scale_herd", "scale_apart",
    "herd_start_statements", "herd_outage_statements", "herd_reaper", "herd_schedule", "herd_webhook",
]


def number(value):
    """As many digits as are worth reading."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values):
    """Median, and least to most where they differ."""
    if not values:
        return "–"
    middle, least, most = (number(value) for value in (statistics.median(values), min(values), max(values)))
    return middle if least == most else f"{middle} ({least} to {most})"


def ratio(measure):
    """Ours over the bound, of the medians."""
    ours, bound = measure["values"].get(OURS), measure["values"].get(BOUND)
    if not ours or not bound or statistics.median(bound) == 0:
        return ""
    return number(statistics.median(ours) / statistics.median(bound))


def table(results, only=None):
    """As Markdown: one line for each measure, or for those of `only`; one column for each actor."""
    peers = results.get("peers", [])
    head = ["", "unit", OURS, "bound", "ratio", *[f"{peer['name']} {peer['version']}" for peer in peers]]
    lines = [heading(results), "", row(head), row(["---"] * len(head))]
    for measure in results["measures"]:
        if only is not None and measure["id"] not in only:
            continue
        values = measure["values"]
        bound = spread(values[BOUND]) if BOUND in values else ""
        cells = [spread(values[peer["name"]]) if peer["name"] in values else "" for peer in peers]
        lines.append(row([measure["title"], measure["unit"], spread(values.get(OURS, [])), bound, ratio(measure), *cells]))
    lines.append("")
    lines += [f"{peer['name']} is {peer['durability']}: {peer['settings']}." for peer in peers]
    return "\n".join(lines).rstrip() + "\n"


def adopted(readme, results):
    """The text of README.md with the head figures between its marks."""
    pattern = re.compile(r"(<!-- begin benchmarks[^\n]*-->\n).*?(<!-- end benchmarks -->)", re.DOTALL)
    if not pattern.search(readme):
        raise ValueError("README.md lacks the marks 'begin benchmarks' and 'end benchmarks'")
    image = f"![Jobs a second and start times, beside bare statements and other job queues]({PICTURE})"
    text = f"{image}\n\n{table(results, HEADLINES)}"
    return pattern.sub(lambda match: match[1] + text + match[2], readme)


def row(cells):
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def heading(results):
    machine = results["machine"]
    return (
        f"Medians of {results['rounds']} rounds (least to most), on {results['date']}: {machine['cores']} cores "
        f"({machine['processor']}), {machine['memory_gigabytes']} GB of memory, Linux {machine['kernel']}, PostgreSQL "
        f"{results['postgres']} with its default settings on the same machine, over its Unix socket."
    )


# ---- The picture ----

# What is drawn, if it was measured: a group of bars has a scale of its own.
GROUPS = [
    ("Jobs done a second, 5 slots", "drain_5", "more is better"),
    ("Jobs done a second, 50 slots", "drain_50", "more is better"),
    ("Insert to start of the job, median, ms", "latency_p50", "less is better"),
    ("Insert to start of the job, 99th percentile, ms", "latency_p99", "less is better"),
]
NAMES = {BOUND: {"drain": "bare statements (pgbench)", "latency": "bare wake-up and claim"}}
STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #1f2328; }
    .title { font-weight: 600; }
    .aside, .value { fill: #59636e; }
    .ours { fill: #1f6feb; } .bound { fill: #afb8c1; } .peer { fill: #8c6bb1; }
    .axis { stroke: #d1d9e0; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; }
      .aside, .value { fill: #9198a1; }
      .ours { fill: #4493f8; } .bound { fill: #545d68; } .peer { fill: #b392f0; }
      .axis { stroke: #3d444d; }
    }
"""
WIDTH, LEFT, BAR, GAP = 720, 190, 18, 6
LONGEST = WIDTH - LEFT - 90


def picture(results):
    """An SVG with a bar for each actor. The background stays the page's own."""
    measures = {measure["id"]: measure for measure in results["measures"]}
    classes = {OURS: "strict", **{peer["name"]: peer["durability"] for peer in results.get("peers", [])}}
    parts, y = [], 10
    for title, identifier, aside in GROUPS:
        values = {name: given for name, given in measures.get(identifier, {}).get("values", {}).items() if given}
        if not values:
            continue
        y += 18
        parts.append(f'<text class="title" x="0" y="{y}">{escape(title)} <tspan class="aside">({aside})</tspan></text>')
        y += 10
        top = y
        most = max(statistics.median(given) for given in values.values())
        for name in sorted(values, key=lambda name: (name != OURS, name == BOUND)):
            median = statistics.median(values[name])
            length = max(1.0, LONGEST * median / most) if most else 1.0
            kind = {OURS: "ours", BOUND: "bound"}.get(name, "peer")
            shown = NAMES.get(name, {}).get(identifier.split("_")[0], name)
            if identifier.startswith("drain") and name in classes:
                shown += f", {classes[name]}"
            parts.append(f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(shown)}</text>')
            parts.append(f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>')
            parts.append(f'<text class="value" x="{LEFT + length + 6:.1f}" y="{y + 14}">{number(median)}</text>')
            y += BAR + GAP
        parts.append(f'<line class="axis" x1="{LEFT}" y1="{top - 3}" x2="{LEFT}" y2="{y - GAP + 3}"/>')
        y += 12
    body = "\n  ".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" role="img">\n'
        f"  <title>{escape('jobworker beside bare statements and other job queues')}</title>\n"
        f"  <style>{STYLE}  </style>\n  {body}\n</svg>\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results")
    parser.add_argument("--table")
    parser.add_argument("--picture")
    parser.add_argument("--adopt", action="store_true")
    arguments = parser.parse_args()
    with open(arguments.results) as file:
        results = json.load(file)
    for path, text in ((arguments.table, table), (arguments.picture, picture)):
        if path:
            with open(path, "w") as file:
                file.write(text(results))
    if arguments.adopt:
        readme = ROOT / "README.md"
        readme.write_text(adopted(readme.read_text(), results))
        (ROOT / PICTURE).parent.mkdir(exist_ok=True)
        (ROOT / PICTURE).write_text(picture(results))
    elif not arguments.table and not arguments.picture:
        sys.stdout.write(table(results))


if __name__ == "__main__":
    main()
