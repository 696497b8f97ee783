"""AsyncClient in the clothes of Client, so that one suite tests both."""

import asyncio
import threading

import nearfield

FAST = nearfield.RetryPolicy(initial_backoff_seconds=0.001, max_backoff_seconds=0.002)

_END = object()


class BlockingAsyncClient:
    """Runs an AsyncClient in a loop of its own thread. Iterables reach `embed_stream` as async ones."""

    def __init__(self, target, **options):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop")
        self._thread.start()
        self.client = nearfield.AsyncClient(target, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._wait(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _shut(self):
        await self.client.close()
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()

    def _wait(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def __getattr__(self, name):
        method = getattr(self.client, name)
        return lambda *args, **options: self._wait(method(*args, **options))

    def embed_stream(self, inputs, **options):
        if not isinstance(inputs, str):
            inputs = _threaded(iter(inputs))
        return self._pulled(self.client.embed_stream(inputs, **options))

    def watch_models(self, *args, **options):
        async def start():
            return self.client.watch_models(*args, **options)

        return self._pulled(self._wait(start()))

    def watch_clustering(self, *args, **options):
        async def start():
            return self.client.watch_clustering(*args, **options)

        return self._pulled(self._wait(start()))

    def _pulled(self, results):
        async def pull():
            return await anext(results, _END)

        def pulled():
            try:
                while (result := self._wait(pull())) is not _END:
                    yield result
            finally:
                self._wait(results.aclose())

        return pulled()


async def _threaded(iterator):
    loop = asyncio.get_running_loop()
    while (value := await loop.run_in_executor(None, next, iterator, _END)) is not _END:
        yield value
