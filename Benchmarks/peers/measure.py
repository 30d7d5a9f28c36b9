"""What is measured of every peer, in the same way as `jobworker bench` does it.

    measure.py PEER describe
    measure.py PEER drain --database URL --jobs N --slots N
    measure.py PEER enqueue --database URL --jobs N
    measure.py PEER latency --database URL --jobs N
    measure.py PEER worker --database URL

PEER is procrastinate or pgqueuer. The database must be empty: each call installs the peer's schema. One JSON document is
written, but for 'worker': that one writes the line 'job' when a job starts, and runs until it is ended.
"""

import argparse
import asyncio
import importlib
import json
import logging
import sys
import time

BATCH = 1000
PAUSE = 0.02


async def drain(peer, arguments):
    """Jobs a second from the first start to the last stored completion, all there before the first start."""
    await add(peer, arguments.jobs)
    await peer.execute("VACUUM ANALYZE")
    await peer.execute("CHECKPOINT")
    done, starts = asyncio.Event(), []

    def job():
        starts.append(time.perf_counter())
        if len(starts) >= arguments.jobs:
            done.set()

    worker = asyncio.create_task(peer.work(job, arguments.slots))
    await until(done, worker)
    while await peer.unfinished():
        await asyncio.sleep(0.005)
    seconds = time.perf_counter() - starts[0]
    await end(worker)
    return {"jobs_per_second": arguments.jobs / seconds, "settings": peer.settings(arguments.slots)}


async def enqueue(peer, arguments):
    """Jobs a second that one client adds: one in each call, then a thousand in each."""
    singles = max(1, arguments.jobs // 10)
    began = time.perf_counter()
    for _ in range(singles):
        await peer.add_one()
    one_by_one = singles / (time.perf_counter() - began)
    await peer.execute("CHECKPOINT")
    began = time.perf_counter()
    await add(peer, arguments.jobs)
    return {"one_by_one": one_by_one, "batches": arguments.jobs / (time.perf_counter() - began)}


async def latency(peer, arguments):
    """Milliseconds from just before a job is added to its first instruction, on an idle worker in this process."""
    started = asyncio.Queue()
    worker = asyncio.create_task(peer.work(lambda: started.put_nowait(time.perf_counter()), 5))
    await peer.add_one()
    await until_value(started, worker)
    times = []
    for _ in range(arguments.jobs):
        await asyncio.sleep(PAUSE)
        began = time.perf_counter()
        await peer.add_one()
        times.append((await until_value(started, worker) - began) * 1000)
    await end(worker)
    times.sort()
    return {"p50": percentile(times, 50), "p90": percentile(times, 90), "p99": percentile(times, 99), "max": times[-1]}


async def worker(peer, arguments):
    await peer.work(lambda: print("job", flush=True), 5)


async def add(peer, jobs):
    for first in range(0, jobs, BATCH):
        await peer.add_many(min(BATCH, jobs - first))


async def until(event, worker):
    """Waits for an event, or fails with the worker."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({waiting, worker}, return_when=asyncio.FIRST_COMPLETED)
    if not event.is_set():
        waiting.cancel()
        raise worker.exception() or RuntimeError("the worker has ended")


async def until_value(queue, worker):
    waiting = asyncio.create_task(queue.get())
    await asyncio.wait({waiting, worker}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        raise worker.exception() or RuntimeError("the worker has ended")
    return waiting.result()


async def end(worker):
    worker.cancel()
    await asyncio.wait({worker}, timeout=10)


def percentile(ordered, share):
    return ordered[max(0, -(-share * len(ordered) // 100) - 1)]


async def run(peer, measure, arguments):
    await peer.open(arguments.database)
    if not arguments.installed:
        await peer.install()
    result = await measure(peer, arguments)
    if result is not None:
        # The end of the process closes the connections: what is left of a worker must not delay the next measurement.
        print(json.dumps(result), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=["procrastinate", "pgqueuer"])
    measures = {"drain": drain, "enqueue": enqueue, "latency": latency, "worker": worker}
    parser.add_argument("measure", choices=["describe", "install", *measures])
    parser.add_argument("--database")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=5)
    parser.add_argument("--installed", action="store_true", help="the schema is there already")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    module = importlib.import_module(f"peer_{arguments.peer}")
    peer = module.Peer()
    if arguments.measure == "describe":
        print(json.dumps({"name": peer.name, "version": peer.version, "durability": peer.durability,
                          "settings": peer.settings(5)}))
        return
    if arguments.measure == "install":
        async def install(peer, _):
            await peer.add_one()
        measures["install"] = install
    module.run(run(peer, measures[arguments.measure], arguments))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
