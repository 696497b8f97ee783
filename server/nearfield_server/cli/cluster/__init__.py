"""`nearfield cluster` and `nearfield clusterings`: rows in, clusters, tables and files out."""
