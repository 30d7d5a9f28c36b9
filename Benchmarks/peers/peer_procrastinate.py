"""Procrastinate: each completion is stored by a statement of its own before the slot is free."""

import asyncio
import importlib.metadata

import procrastinate
import psycopg


class Peer:
    name = "procrastinate"
    version = importlib.metadata.version("procrastinate")
    durability = "strict"

    def settings(self, slots):
        return f"psycopg, default pool, concurrency={slots}, listen_notify=True"

    async def open(self, database):
        self.admin = await psycopg.AsyncConnection.connect(database, autocommit=True)
        self.app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=database))
        await self.app.open_async()
        self.job = None

        @self.app.task(name="noop", queue="default")
        async def noop():
            self.job()

        self.noop = noop

    async def install(self):
        await self.app.schema_manager.apply_schema_async()

    async def execute(self, sql):
        await self.admin.execute(sql)

    async def add_one(self):
        await self.noop.defer_async()

    async def add_many(self, count):
        await self.noop.batch_defer_async(*[{} for _ in range(count)])

    async def work(self, job, slots):
        self.job = job
        await self.app.run_worker_async(concurrency=slots, install_signal_handlers=False)

    async def unfinished(self):
        cursor = await self.admin.execute(
            "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")
        return (await cursor.fetchone())[0]


def run(main):
    asyncio.run(main)
