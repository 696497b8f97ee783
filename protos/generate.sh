#!/usr/bin/env bash
# Generate the Python stubs: protos/generate.sh PYTHON_WITH_GRPCIO_TOOLS OUT_FOLDER
set -euo pipefail
python=$(realpath --no-symlinks "$1") out=$(mkdir -p "$2" && cd "$2" && pwd)
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# google/rpc/*.proto lie in the package googleapis-common-protos.
includes=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$python" -m grpc_tools.protoc -I. -I"$includes" \
  --python_out="$work" --pyi_out="$work" --grpc_python_out="$work" nearfield/v1/*.proto
rm -f "$work/nearfield/v1/types_pb2_grpc.py" # it has no service
cp "$work"/nearfield/v1/* "$out/"
