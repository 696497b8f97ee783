#!/bin/sh
# Makes scatterplot.min.js: regl-scatterplot and all that it needs as one script, which sets `scatterplot`. The licences
# stand at its top, as they must in every page that holds it. Needs node and npm; leaves no node_modules behind.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$work"
cd "$work"
npm ci --silent --no-audit --no-fund
for name in regl-scatterplot regl regl-line camera-2d-simple dom-2d-camera earcut gl-matrix pub-sub-es @flekschas/utils; do
  printf '%s %s\n\n' "$name" "$(node -p "require('./node_modules/$name/package.json').version")"
  cat "node_modules/$name"/LICENSE*
  printf '\n'
done > licences.txt
printf "export { default as create } from 'regl-scatterplot';\n" > entry.js
node_modules/.bin/esbuild entry.js --bundle --minify --format=iife --global-name=scatterplot --target=es2020 \
  --charset=ascii --legal-comments=none --outfile=bundle.js --log-level=warning
{ printf '/*!\n'; sed 's|\*/|* /|g' licences.txt; printf '*/\n'; cat bundle.js; } > "$here/scatterplot.min.js"
cp licences.txt "$here/scatterplot.licences.txt"
