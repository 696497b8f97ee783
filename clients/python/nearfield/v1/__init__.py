"""Generated stubs of the package `nearfield.v1`; made by `make gen`, never edited."""
