# docs/ops.md has a section for each op of the table and for nothing else, in the words of `octavo ops --json`.
set -eu
mkdir -p "$OCTAVO_OUT"
"$OCTAVO" ops --json | python3 -c 'import json, sys; print("\n".join(o["name"] for o in json.load(sys.stdin)["ops"]))' | sort >"$OCTAVO_OUT/table"
sed -n 's/^### `\(.*\)`$/\1/p' "$OCTAVO_SOURCE/docs/ops.md" | sort >"$OCTAVO_OUT/doc"
diff "$OCTAVO_OUT/table" "$OCTAVO_OUT/doc"
