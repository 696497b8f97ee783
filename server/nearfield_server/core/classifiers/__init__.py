"""Classifiers that are trained on a few labelled examples, on top of vectors.

nouns     what goes in and comes out
fit/      the training, which runs in worker processes: pure functions of matrices and labels
codec     a classifier as one file: on the disk, and to other servers
kept      classifiers on the disk, by name and version
estimate  what training takes, told before it begins
trainer   the use case: gather examples, have them learnt from, keep the result
scorer    labels of new inputs: one matrix product, in the server's own process
"""
