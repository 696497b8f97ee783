"""The HTTP side port: metrics and health for those who don't speak gRPC."""
