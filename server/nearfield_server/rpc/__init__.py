"""gRPC: servicers, messages to and from plain values, errors to statuses, health."""
