"""Clusters of texts, vectors and collections.

nouns       what goes in and comes out
fit/        the computing, which runs in worker processes: pure functions of matrices and texts
pool        those processes, and the queue before them
clusterer   the use cases: gather what is to be clustered, have it fitted, keep the result
jobs        the life of jobs over collections
kept        clusterings on the disk
assigner    new items into kept clusterings, and how unlike they are
"""
