"""Work on many items at once, in worker processes: what clustering, maps and classifiers have in common.

items     what callers hand in: texts, vectors, the points of a collection
gatherer  brings them together as unit rows
matter    holds them where a worker can read them without a copy
pool      the worker processes, and the queue before them
worker    the other end: one module for each operation
stages    what a computation tells of itself
kept      results on the disk, until they expire
"""
