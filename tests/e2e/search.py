#!/usr/bin/env python3
"""quantize --budget, --flash, --ram: what comes out keeps its budgets by the figures of eval and by the sections of the object that
compile makes; a search that was cut off goes on to the same bytes, and so does one whose figures were measured in parts; a budget
that cannot be kept exits 1, says by how much, and writes nothing."""
import re, shutil
from common import *


def samples(folder, name, n):
    x, y = os.path.join(folder, "x.npy"), os.path.join(folder, "y.npy")
    head(data(FLOAT_MODELS[name][1]), x, n)
    head(data(FLOAT_MODELS[name][2]), y, n)
    return x, y


def sizes(folder, q):
    """Flash and arena of the object that compile makes of a model."""
    run("compile", q, "--emit", "obj", "-o", os.path.join(folder, "net"))
    with open(os.path.join(folder, "net.json")) as f:
        report = json.load(f)
    out = subprocess.run(["size", "-A", "-d", os.path.join(folder, "net.o")], capture_output=True, text=True, check=True).stdout
    flash = sum(int(n) for n in re.findall(r"^\.(?:text|rodata)\S*\s+(\d+)", out, re.M))
    return flash, report["arena_bytes"]


def main():
    need_shared()
    t = Tally()
    shutil.rmtree(os.path.join(out, "search"), ignore_errors=True)
    name, d = "kws_dscnn", folder("search")
    x, y = samples(d, name, 20)

    def search(to, *options, expect=0):
        p = subprocess.run([octavo, "quantize", model(name), "--data", x, "--labels", y, *map(str, options), "-o", to], capture_output=True, text=True)
        t.check(p.returncode == expect, f"{options}: exit {p.returncode}, expected {expect}: {p.stderr[-500:]}")
        return p.stderr

    def bytes_of(q):
        return read(q), read(q.replace(".8vo", ".safetensors"))

    # without a limit of accuracy the least loss stays; a limit above it costs flash
    plain, better = os.path.join(d, "plain.8vo"), os.path.join(d, "better.8vo")
    journal = os.path.join(d, "j")
    said = search(plain, "--ram", "128K")
    base = float(re.search(r"all layers .*SQNR ([\d.]+) dB; .*flash", said).group(1))
    want = base + 1.5
    options = ["--budget", f"sqnr>={want:.2f},top1>=-5", "--flash", "256K", "--ram", "128K", "--journal"]
    search(better, *options, journal)
    figures = run_json("eval", better, "--data", x, "--labels", y, "--against", model(name))
    t.check(figures["sqnr_db"] >= want, f"SQNR {figures['sqnr_db']} is below the budget of {want}")
    t.check(figures["top1"] >= figures["float_top1"] - 0.05, f"top-1 {figures['top1']}, float {figures['float_top1']}")
    t.check(b"rule name=" in read(better), "what was found does not stand in the model as rules")
    flash, arena = sizes(d, better)
    t.check(flash <= 256 << 10 and arena <= 128 << 10, f"flash {flash}, arena {arena}")

    # what cannot be kept
    said = search(os.path.join(d, "x.8vo"), "--flash", "1000", expect=1)
    over = re.search(r"flash takes (\d+) bytes, (\d+) more than the budget of 1000", said)
    t.check(over and int(over.group(1)) - 1000 == int(over.group(2)), f"an impossible budget is not explained: {said[-300:]}")
    said = search(os.path.join(d, "x.8vo"), "--ram", "1000", expect=1)
    arena = sizes(d, plain)[1]
    t.check(f"the arena takes {arena} bytes, {arena - 1000} more" in said, f"not the object's arena of {arena}: {said[-300:]}")
    said = search(os.path.join(d, "x.8vo"), "--budget", "sqnr>=200", expect=1)
    t.check("sqnr misses its budget by" in said, said[-300:])
    t.check(not os.path.exists(os.path.join(d, "x.8vo")), "a budget that is missed leaves a model behind")

    # cut off within a line: the same model and the same journal
    whole = read(journal)
    for keep in (len(whole) // 3,):
        cut = os.path.join(d, f"cut{keep}")
        with open(cut, "wb") as f:
            f.write(whole[:keep])
        again = os.path.join(d, "again.8vo")
        search(again, *options, cut)
        t.check(bytes_of(again) == (read(better).replace(b"better", b"again"), bytes_of(better)[1]) and read(cut) == whole, f"cut at {keep}: another model or journal")
    with open(os.path.join(d, "foreign"), "wb") as f:
        f.write(re.sub(rb"\nsearch \w", b"\nsearch z", whole))
    said = search(os.path.join(d, "x.8vo"), *options, os.path.join(d, "foreign"), expect=65)
    t.check("journal of another search" in said, said[-300:])
    with open(os.path.join(d, "broken"), "wb") as f:
        f.write(whole.replace(b" ok ", b" hm ", 1))
    search(os.path.join(d, "x.8vo"), *options, os.path.join(d, "broken"), expect=65)

    # measured in two parts, and with two threads
    parts = [os.path.join(d, f"part{k}") for k in (1, 2)]
    for k, part in enumerate(parts):
        search(os.path.join(d, "x.8vo"), *options, part, "--part", f"{k + 1}/2")
    t.check(not os.path.exists(os.path.join(d, "x.8vo")), "a part leaves a model behind")
    with open(os.path.join(d, "joined"), "wb") as f:
        f.write(b"".join(read(p) for p in parts))
    again = os.path.join(d, "again.8vo")
    search(again, *options, os.path.join(d, "joined"), "--threads", "2", "--pareto", os.path.join(d, "p.json"))
    t.check(bytes_of(again) == (read(better).replace(b"better", b"again"), bytes_of(better)[1]), "measured in parts: another model")
    with open(os.path.join(d, "p.json")) as f:
        front = json.load(f)["pareto"]
    t.check(all(a["weight_bytes"] < b["weight_bytes"] and a["loss"] > b["loss"] for a, b in zip(front, front[1:])) and front, f"no front: {front}")

    for wrong in (["--budget", "top1>0.3"], ["--budget", "speed>=1"], ["--flash", "12Q"], ["--flash", "1K", "--part", "1/2"], ["--budget", "loss>=1"]):
        search(os.path.join(d, "x.8vo"), *wrong, expect=64)
    t.close()


main()
