#!/usr/bin/env bash
# Every built-in filter on one photograph, as one labelled sheet.
#
#   bash examples/gallery.sh [PHOTO] [SHEET.png]
#
# The filters are of many sizes, so they cannot be one bank. They can be the layers of one network,
# side by side: each reads the photograph, and the last layer puts all their maps together.
set -euo pipefail

photo=${1:-sample_images/chelsea.png}
sheet=${2:-gallery.png}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
net=$work/gallery.toml

# layer NAME TYPE FIELDS...: one layer of the network.
layer() {
  printf '[[layers]]\nname = "%s"\ntype = "%s"\n' "$1" "$2"
  printf '%s\n' "${@:3}"
}

{
  layer small pool 'mode = "average"' 'size = 4'
  layer grey conv 'filter = "luminance"' 'padding = "valid"'
  names=()
  while read -r name shape _; do
    names+=("\"$name-\"")
    reads=grey
    # Of three channels: rows x columns x 3, and perhaps x maps.
    [[ $shape == *x*x3* ]] && reads=small
    layer "$name-" conv "inputs = [\"$reads\"]" "filter = \"$name\"" 'pad_mode = "edge"'
  done < <(cnncli filters list | tail -n +2)
  layer all concat "inputs = [$(IFS=,; echo "${names[*]}")]"
} > "$net"

cnncli run "$net" "$photo" --columns 12 --compress small --overwrite -o "$sheet"
