"""The training of classifiers. All of it runs in worker processes, which alone import the libraries for it."""
