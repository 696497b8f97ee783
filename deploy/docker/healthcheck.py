"""Ask a Nearfield server for its health; exit 0 if it is SERVING, 1 if not.

Shipped in the images for HEALTHCHECK and for `helm test`. Asks gRPC on the server's own address, NEARFIELD_LISTEN,
unless told another one. With --http, or where NEARFIELD_TLS__CERTIFICATE is set, it asks /healthz, which needs no keys.
"""

from __future__ import annotations

import argparse
import os
import sys
import urllib.error
import urllib.request

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def main() -> int:
    """Print the status and give the exit code."""
    environment = os.environ.get
    secure = environment("NEARFIELD_TLS__CERTIFICATE")
    own_http = f"http://{own_address(environment('NEARFIELD_HTTP') or '127.0.0.1:8080')}/healthz"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default=own_address(environment("NEARFIELD_LISTEN") or "127.0.0.1:50051"))
    parser.add_argument("--service", default="", help='"" is readiness, "liveness" whether the process answers')
    parser.add_argument("--http", default=own_http if secure else "", metavar="URL", help="ask this URL, not gRPC")
    parser.add_argument("--timeout-seconds", type=float, default=4.0)
    options = parser.parse_args()
    if options.http:
        where, serving, status = options.http, *ask_http(options.http, options.timeout_seconds)
    else:
        where, serving, status = options.target, *ask_grpc(options.target, options.service, options.timeout_seconds)
    sys.stdout.write(f"{where}: {status}\n")
    return 0 if serving else 1


def ask_grpc(target: str, service: str, timeout_seconds: float) -> tuple[bool, str]:
    """Tell whether a health service is SERVING, and what was answered."""
    request = health_pb2.HealthCheckRequest(service=service)
    with grpc.insecure_channel(target) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout_seconds)
        except grpc.RpcError as error:
            return False, f"{error.code().name}: {error.details()}"
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
    return status == "SERVING", status


def ask_http(url: str, timeout_seconds: float) -> tuple[bool, str]:
    """Tell whether a URL answers with 200, and what was answered."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_seconds) as reply:  # noqa: S310 - the caller's own server
            return True, f"HTTP {reply.status}"
    except urllib.error.HTTPError as error:
        return False, f"HTTP {error.code}"
    except OSError as error:
        return False, str(error)


def own_address(listen: str) -> str:
    """Where to call a server of this container that listens on `listen`."""
    return listen.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")


if __name__ == "__main__":
    sys.exit(main())
