"""The computing of maps; runs in worker processes. Pure functions of matrices."""
