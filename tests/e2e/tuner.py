#!/usr/bin/env python3
"""compile --tune times ways to build layers and writes a file; --tuned replays it: the same bytes, nothing timed, on any machine. A
file names another way: another object, the same codes. A file that does not fit, or is no such file, is refused and says why."""
import platform, re, subprocess
from common import *

MODEL = """octavo 1
model m
input x : i8[N,16,12,12] scale=0.5 zero=3
const @w : i8[32,16,3,3] scale=0.01 zero=0 = random seed=1 within=(-128.0,128.0)
const @v : i8[24,32,1,1] scale=0.02 zero=0 = random seed=2 within=(-128.0,128.0)
const @u : i8[16,24,3,3] scale=0.02 zero=0 = random seed=3 within=(-128.0,128.0)
a : i8[N,32,12,12] scale=5.0 zero=-9 = conv2d(x, @w) pad=(1,1,1,1) profile=q31
b : i8[N,24,12,12] scale=9.0 zero=2 = conv2d(a, @v) profile=q31
c : i8[N,16,6,6] scale=40.0 zero=0 = conv2d(b, @u) pad=(0,0,1,1) stride=(2,2) profile=q31
output c
"""
HEAD = "octavo tuned 1\ntarget x86-64-v3\ncpu some\ncode some\n"
LAYER = "layer conv2d i8[1,32,12,12] i8[24,32,1,1] -> i8[1,24,12,12] q31\n"
# text of a file: what the message says
BAD = {
    "": "no file of octavo's --tune",
    "octavo tuned 2\n" + HEAD[15:]: "another version",
    HEAD[:-1]: "cut off",
    HEAD[:40]: "cut off",
    HEAD + LAYER: "cut off",
    HEAD.replace("cpu", "gpu"): "a line 'cpu ...'",
    HEAD + "    1.0 us conv2d_vec 6x2\n": "without a layer",
    HEAD + LAYER + "    fast conv2d_vec 6x2\n": "four blanks and its time",
    HEAD + LAYER + "    1e3 us conv2d_vec 6x2\n": "four blanks and its time",
    HEAD + LAYER + "    -1.0 us conv2d_vec 6x2\n": "four blanks and its time",
    HEAD + LAYER + "    9999999999.0 us conv2d_vec 6x2\n": "four blanks and its time",
    HEAD + LAYER + "    1.0 ns conv2d_vec 6x2\n": "the name of a way is missing",
    HEAD + LAYER + "    1.0 us \n": "the name of a way is missing",
    HEAD + LAYER + "    1.0 us conv2d_vec 6x2\n" * 2: "twice",
    HEAD + (LAYER + "    1.0 us conv2d_vec 6x2\n") * 2: "twice",
    HEAD + LAYER * 2: "has no way",
    HEAD + "ceiling a\n": "a ceiling is as in",
    HEAD + "ceiling a 83.1 GMAC\n": "a ceiling is as in",
    HEAD + "ceiling a 83.1 GMAC/s\n" * 9: "a ceiling is as in",
    HEAD + LAYER + "    1.0 us conv2d_vec 6x2\nceiling a 83.1 GMAC/s\n": "a ceiling is as in",
    HEAD + LAYER + "    1.0 us conv2d_vec 6x2\0\n": "printable",
    HEAD + LAYER + "    1.0 us conv2d_vec 6x2\x1b[2J\n": "printable",
    HEAD + LAYER + "    1.0 us conv2d_vec 99x99\n": "cannot be built in any way that is named here",
    HEAD + LAYER + "    1.0 us %n%s%n\n": "cannot be built in any way that is named here",
    HEAD.replace("v3", "v4"): "tuned for x86-64-v4",
    HEAD + LAYER + "".join(f"    1.0 us way {i}\n" for i in range(200000)): "more than 4 MB",
}


def complaint(*args, expect):
    p = subprocess.run([octavo, *map(str, args)], capture_output=True, text=True)
    if p.returncode != expect:
        sys.exit(f"octavo {' '.join(map(str, args))}\nexits {p.returncode}, expected {expect}\n{p.stderr[-3000:]}")
    return p.stderr


def main():
    t, d = Tally(), folder("m")
    model, file = os.path.join(d, "m.8vo"), os.path.join(d, "m.tuned")
    with open(model, "w") as f:
        f.write(MODEL)

    def compile(name, *more, expect=0):
        out = os.path.join(d, name)
        text = complaint("compile", model, "--target", "x86-64-v3", "-o", out, *more, expect=expect)
        return text if expect else {s: read(out + s) for s in (".c", ".json")}

    def write(text):
        with open(file, "wb") as f:
            f.write(text.encode())

    # by hand: any machine can replay it
    plain = compile("plain")
    write(HEAD + LAYER + "    1.0 us conv2d_vec 1x1\n    0.5 us conv2d_vec 6x2\n")
    one = compile("one", "--tuned", file)
    t.check(one[".c"].replace(b"one", b"plain") != plain[".c"], "a worse way is taken when the file names it first")
    t.check(b"1 pixels x 8 channels" in one[".json"], "the report tells of it")
    t.check("2 layers have a shape that is not in this file" in complaint("compile", model, "--target", "x86-64-v3", "--tuned", file, "-o", d + "/note", expect=0),
            "layers that the file does not know are counted")
    write(HEAD + LAYER + "    1.0 us conv2d_vec 99x1\n    2.0 us conv2d_vec 1x1\n")
    again = compile("one", "--tuned", file)
    t.check(again[".c"] == one[".c"], "ways that a layer does not offer are passed over")
    for text, why in BAD.items():
        write(text)
        said = compile("bad", "--tuned", file, expect=65)
        t.check(why in said, f"{text[-40:]!r}: {why}")
        t.check(not os.path.exists(d + "/bad.c"), "nothing is written then")
    complaint("compile", model, "--tuned", d + "/none", "-o", d + "/bad", expect=66)
    write(HEAD)
    complaint("compile", model, "--target", "x86-64-v3", "--tuned", file, "--tune", file, "-o", d + "/bad", expect=64)
    complaint("compile", model, "--target", "cortex-m4", "--tune", d + "/other", "-o", d + "/bad", expect=64)

    if platform.machine() != "x86_64" or "avx2" not in open("/proc/cpuinfo").read():
        print("this machine has no AVX2: nothing was timed")
        return t.close()
    # foreign: measured elsewhere, so not to be added to; but to be replayed
    t.check("measured for" in compile("bad", "--tune", file, expect=65), "times of two machines are not mixed")
    compile("foreign", "--tuned", file)
    os.remove(file)
    first = compile("t", "--tune", file)
    text = read(file).decode()
    t.check(re.fullmatch(r"octavo tuned 1\ntarget x86-64-v3\ncpu [^\n]+\ncode [^\n]+\n(ceiling \w+ \d+\.\d GMAC/s\n){2,8}(layer [^\n]+\n(    \d+\.\d us [^\n]+\n){2,8}){3}", text), "the file's form")
    t.check("winograd" in text and "conv2d_vec" in text, "kernels compete")
    for l in json.loads(first[".json"])["layers"]:
        if l["way"].startswith(("conv2d_vec", "strassen", "winograd")):
            t.check(l["measured_us"] > 0 and 0 < l["measured_share"] < 1.1 and l["predicted_cycles"] > 0, f"the report has figures: {l}")
    blocks = text.split("layer ")[1:]
    t.check(blocks == sorted(blocks), "layers are sorted")
    for b in blocks:
        us = [float(x) for x in re.findall(r"(\S+) us ", b)]
        t.check(us == sorted(us), "ways are sorted by time")
    t.check(compile("t", "--tuned", file) == first, "--tuned replays --tune, byte for byte")
    t.check(compile("t", "--tune", file) == first and read(file).decode() == text, "what is known is not timed again")
    b = run_json("bench", model, "--tuned", file, "--runs", "20")
    t.check(b["ceilings"] and all(30 < x < 5000 for x in b["ceilings"].values()), "bench measures ceilings")
    for l in b["layers"]:
        t.check((l["share"] is None) == (l["steps"] == "") and (l["share"] is None or abs(l["share"] * b["ceilings"][l["steps"]] * l["gain"] / l["gmacs"] - 1) < 1e-3),
                f"a share is that of the ceiling: {l}")
        t.check((l["products_ns"] is not None) == l["kernel"].startswith(("winograd", "strassen")) and (l["products_ns"] is None or (0 < l["products_ns"] < l["ns"] and l["share"] < l["products_share"])),
                f"products alone: {l}")
    # each layer turned upside down: other code, same codes
    write(text[:text.index("layer ")] + "".join("layer " + b.split("\n")[0] + "\n" + "\n".join(reversed(b.split("\n")[1:-1])) + "\n" for b in blocks))
    worse = compile("t", "--tuned", file)
    t.check(worse[".c"] != first[".c"], "the order of the file decides")
    x = os.path.join(d, "x.npy")
    npy_write(x, "|i1", (3, 16, 12, 12), bytes(i * 73 % 251 for i in range(3 * 16 * 12 * 12)))
    for engine, more in (("interp", ()), ("c", ()), ("c", ("--tuned", file))):
        run("run", model, "--input", x, "--engine", engine, *more, "-o", d + "/y.npy")
        want = read(d + "/y.npy") if engine == "interp" else want
        t.check(read(d + "/y.npy") == want, f"codes by {engine} {more[:1]}")
    t.close()


if __name__ == "__main__":
    main()
