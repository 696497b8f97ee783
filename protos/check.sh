#!/usr/bin/env bash
# Lint the protos, and compare them with every earlier commit of them (the last 50): protos/check.sh PYTHON BUF
# Buf sees descriptor images: the import google/rpc/status.proto comes from a Python package, not from its registry.
set -euo pipefail
python=$(realpath --no-symlinks "$1") buf=$(realpath --no-symlinks "$2")
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
includes=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

image() { # FOLDER OUT
  (cd "$1" && "$python" -m grpc_tools.protoc -I. -I"$includes" --include_imports --include_source_info \
    --descriptor_set_out="$2" nearfield/v1/*.proto)
}

image . "$work/now.binpb"
"$buf" lint "$work/now.binpb" --config buf.yaml
for commit in $(git log -n 50 --format=%H -- nearfield 2>/dev/null || true); do
  mkdir "$work/$commit"
  git archive "$commit" nearfield | tar -x -C "$work/$commit"
  image "$work/$commit" "$work/then.binpb"
  "$buf" breaking "$work/now.binpb" --against "$work/then.binpb" --config buf.yaml \
    || { echo "protos/check.sh: the API of commit $commit is broken: protos/nearfield/v1 only grows" >&2; exit 1; }
done
