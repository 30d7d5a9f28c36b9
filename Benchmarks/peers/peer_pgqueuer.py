"""PgQueuer: completions are gathered for up to 0.1 s, and stored after the slot is free."""

import importlib.metadata

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.queries import Queries


class Peer:
    name = "pgqueuer"
    version = importlib.metadata.version("pgqueuer")
    durability = "batched"

    def batch(self, slots):
        # Its limit must be at least twice the batch.
        return max(1, slots // 2)

    def settings(self, slots):
        return f"asyncpg, uvloop, max_concurrent_tasks={slots}, batch_size={self.batch(slots)}"

    async def open(self, database):
        self.admin = await asyncpg.connect(database)
        self.queries = Queries.from_asyncpg_connection(await asyncpg.connect(database))
        self.manager = PgQueuer.from_asyncpg_connection(await asyncpg.connect(database))
        self.job = None

        @self.manager.entrypoint("noop")
        async def noop(_):
            self.job()

    async def install(self):
        await self.queries.install()

    async def execute(self, sql):
        await self.admin.execute(sql)

    async def add_one(self):
        await self.queries.enqueue("noop", b"{}")

    async def add_many(self, count):
        await self.queries.enqueue(["noop"] * count, [b"{}"] * count, [0] * count)

    async def work(self, job, slots):
        self.job = job
        await self.manager.run(batch_size=self.batch(slots), max_concurrent_tasks=slots)

    async def unfinished(self):
        return await self.admin.fetchval("SELECT count(*) FROM pgqueuer")


def run(main):
    uvloop.run(main)
