"""From single items to batches and back. Knows token sequences and rows of numbers, never a model.

`policy` says which lengths to put together, `queue` holds what waits and settles what ran, both without clock, thread,
future or log; `runner` drives them with threads and hands results to asyncio.
"""
