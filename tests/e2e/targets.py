#!/usr/bin/env python3
"""What models are compiled for: the table, triples, presets from a file and their faults, notes about budgets."""
import subprocess
from common import *

digits = os.path.join(source, "examples", "digits", "digits")
d = folder("t")
t = Tally()
q = os.path.join(d, "q.8vo")
run("quantize", digits + ".8vo", "--data", digits + "_cal.npy", "-o", q)


def said(*args, expect):
    """What octavo says on stderr."""
    p = subprocess.run([octavo, *args], capture_output=True, text=True)
    t.check(p.returncode == expect, f"{args}: exit {p.returncode}, expected {expect}: {p.stderr[:1000]}")
    return p.stderr


def presets(text):
    path = os.path.join(d, "targets.json")
    with open(path, "w") as f:
        f.write(text if isinstance(text, str) else json.dumps(text))
    return path


# ---- the table
FIELDS = {"name", "row", "triple", "cpu", "features", "float_abi", "vector_bits", "pointer_bytes", "flash", "ram", "doc"}
table = {x["name"]: x for x in run_json("targets")["targets"]}
t.check(all(set(x) == FIELDS for x in table.values()), "fields of targets --json")
for name in ("host x86-64-v2 x86-64-v3 x86-64-v4 x86-64-v4-vnni aarch64 aarch64-dotprod aarch64-i8mm armv7 cortex-m0plus cortex-m4 "
             "cortex-m7 cortex-m33 cortex-m55 c99").split():
    t.check(name in table, f"no target {name}")
plain, verbose = run("targets"), run("targets", "-v")
t.check(len(plain.splitlines()) == len(table) and len(verbose.splitlines()) == 2 * len(table), "lines of targets, targets -v")
m33 = verbose[verbose.index("\ncortex-m33"):].splitlines()[2]
t.check(all(w in m33 for w in ("cpu cortex-m33", "float ABI hard", "32 bits", "flash 1024 KB", "RAM 512 KB")), "targets -v: " + m33)

# ---- presets
example = os.path.join(source, "examples", "targets.json")
more = {x["name"]: x for x in run_json("targets", "--targets", example)["targets"]}
t.check(len(more) > len(table) and {n: more[n] for n in table} == table, "presets come after the table")
for name, wanted in json.loads(read(example)).items():
    base = table[wanted.pop("base")]
    for key in FIELDS - {"name", "float_abi"}:
        t.check(more[name][key] == wanted.get(key, base[key]), f"{name}: {key} is {more[name][key]}")
t.check(more["m33-nofp"]["float_abi"] == "soft", "the triple of a preset decides about floats")
run("compile", q, "--targets", example, "--target", "nrf9160", "-o", os.path.join(d, "nrf"))
run("compile", q, "--target", "cortex-m33", "-o", os.path.join(d, "nrf33"))
t.check(read(os.path.join(d, "nrf.c")).replace(b"nrf", b"") == read(os.path.join(d, "nrf33.c")).replace(b"nrf33", b""), "a preset is its base")

FAULTS = [
    ("", "line 1"), ("[]", "object"), ('{"a": {"base": "cortex-m4"}, "a": {"base": "cortex-m4"}}', "duplicate"), ('{"a": 5}', "object"),
    ({"a": {}}, "base"), ({"a": {"base": "cortex-m5"}}, "'cortex-m5'"), ({"a": {"base": "a"}}, "'a'"), ({"a": {"base": 7}}, "base"),
    ({"cortex-m4": {"base": "cortex-m4"}}, "of this name"), ({"": {"base": "cortex-m4"}}, "name"), ({"a b": {"base": "cortex-m4"}}, "name"),
    ({"a\n": {"base": "cortex-m4"}}, "name"), ({"a": {"base": "cortex-m4", "ram": -1}}, "ram"), ({"a": {"base": "cortex-m4", "flash": 1.5}}, "flash"),
    ({"a": {"base": "cortex-m4", "ram": 1 << 70}}, "line 1"), ({"a": {"base": "cortex-m4", "cpu": 4}}, "cpu"), ({"a": {"base": "cortex-m4", "doc": "\u20ac"}}, "doc"),
    ({"a": {"base": "cortex-m4", "rom": 1}}, "no field"), ({"a": {"base": "cortex-m4", "triple": "aarch64-linux-gnu"}}, "architecture"),
    ({"a": {"base": "host", "triple": "x"}}, "architecture"), ("{" + "[" * 3000, "line 1"), (" " * (1 << 20), "1 MB"),
]
for text, told in FAULTS:
    err = said("compile", q, "--targets", presets(text), "--target", "a", "-o", os.path.join(d, "none", "m"), expect=65)
    t.check("targets.json: error: targets: " in err and told in err, f"{str(text)[:60]}: {err}")
t.check(not os.path.exists(os.path.join(d, "none")), "a command with bad presets left output")
t.check("absent.json" in said("targets", "--targets", os.path.join(d, "absent.json"), expect=66), "an absent file of presets")

# ---- triples
for triple, like in (("x86_64-linux-gnu", "x86-64-v2"), ("aarch64-linux-gnu", "aarch64"), ("thumbv6m-none-eabi", "cortex-m0plus"),
                     ("thumbv7em-none-eabihf", "cortex-m4"), ("armv7-linux-gnueabihf", "armv7")):
    for name, target in ("a", triple), ("b", like):
        run("compile", q, "--target", target, "-o", os.path.join(d, name, "m"))
    t.check(read(os.path.join(d, "a", "m.c")) == read(os.path.join(d, "b", "m.c")), f"C for {triple} is not that for {like}")
for bad in "riscv32-none-elf", "aarch64", "x86_64-pc-windows-msvc", "aarch64_be-linux-gnu", "thumbv7em", "cortex-m4-none", "", "-none", "host ":
    if bad in table:
        continue
    err = said("compile", q, "--target", bad, "-o", os.path.join(d, "none", "m"), expect=64)
    t.check("cortex-m55" in err and "thumbv7em" in err, f"--target '{bad}' lists no targets: {err}")
t.check("did you mean 'cortex-m0plus'" in said("compile", q, "--target", "cortex-m0plu", "-o", os.path.join(d, "none", "m"), expect=64), "no advice")

# ---- budgets: notes, no errors
for fields, told in ({"ram": 10}, "arena"), ({"flash": 10}, "weights"), ({"ram": 0, "flash": 0}, None):
    err = said("compile", q, "--targets", presets({"tiny": dict(fields, base="cortex-m4")}), "--target", "tiny", "-o", os.path.join(d, "m"), expect=0)
    t.check(err.count("note:") == (told is not None) and (told or "") in err, f"budget {fields}: {err}")
t.check("note" not in said("compile", q, "--target", "cortex-m0plus", "-o", os.path.join(d, "m"), expect=0), "digits fit a Cortex-M0+")
t.close()
