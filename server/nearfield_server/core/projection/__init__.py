"""Maps of texts, vectors and collections: coordinates that put near items near each other.

nouns       what goes in and comes out
fit/        the computing, which runs in worker processes
estimate    what is too much, told before it begins
fits        a fit by a worker
kept        maps on the disk
placing     new items into a kept map
projector   the use case: gather what is to be projected, have it fitted, keep the result
"""
