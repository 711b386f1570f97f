"""NAME.json and --explain: bounds as they follow from the weights, proofs accepted and refused, every fallback with its reason, one
line for each layer."""
import json, os
from common import *

t = Tally()
there = folder("models")


def compile(name, text, *args):
    """The report, and the lines of --explain, of a model written here."""
    path = os.path.join(there, name + ".8vo")
    with open(path, "w") as f:
        f.write("octavo 1\nmodel " + name + "\n" + text)
    p = subprocess.run([octavo, "compile", path, "--target", "c99", "-o", os.path.join(there, name), "--explain", *args], capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"{name}: exit {p.returncode}\n{p.stderr}")
    return json.loads(read(os.path.join(there, name + ".json"))), p.stderr.splitlines()


# 40 products of 127 and at most 255, beside a bias: 2^31 - 1 and one more.
dense = """input x : i8[N,40] scale=1.0 zero=-128
const @w : i8[1,40] scale=1.0 = random seed=1 within=(127,128)
const @b : i32[1] = (%d)
y : i8 scale=1000.0 zero=3 = dense(x, @w, @b)
output y
"""
bias = 2**31 - 1 - 40 * 127 * 255
r, lines = compile("fits", dense % bias)
t.check(r["layers"][0]["acc_bound"] == 2**31 - 1, "bound that just fits")
t.check(r["proofs"]["overflow"] == {"accepted": 1, "refused": 0}, "overflow proof accepted")
t.check(r["fallbacks"] == [], "no fallback")
t.check(any(l.startswith("y: kernel dense, ") and "|acc| <= 2147483647 < 2^31" in l for l in lines), "a line for the layer")
r, lines = compile("wide", dense % (bias + 1))
t.check(r["layers"][0]["acc_bound"] == 2**31, "bound that just does not fit")
t.check(r["proofs"]["overflow"] == {"accepted": 0, "refused": 1}, "overflow proof refused")
t.check([f["name"] for f in r["fallbacks"]] == ["y"] and "64 bits" in r["fallbacks"][0]["reason"], "wide sums are a fallback")
t.check(any(l.startswith("y: fallback: ") for l in lines), "a line for the fallback")

# Two channels whose multipliers no single shift serves, and two that it does; a pool, a table of steps, moves.
conv = """input x : i8[N,1,4,4] scale=1.0 zero=0
const @w : i8[2,1,1,1] scale[0]=(%s) = (127,127)
const @b : i32[2] = (2000000000,1)
c : i8 scale=1.0 zero=0 = conv2d(x, @w, @b)
p = max_pool2d(c) kernel=2 stride=2
y = transpose(p) perm=(0,2,3,1)
output y
"""
r, _ = compile("shared", conv % "0.001,0.0011")
t.check(r["proofs"]["requantize"] == {"accepted": 1, "refused": 0} or r["proofs"]["requantize"] == {"accepted": 0, "refused": 0}, "one shift serves both")
t.check(r["fallbacks"] == [], "no fallback where one shift serves")
r, _ = compile("apart", conv % "0.000000001,800.3")
t.check(r["proofs"]["requantize"] == {"accepted": 0, "refused": 1}, "requantize proof refused")
t.check([f["name"] for f in r["fallbacks"]] == ["c"] and "shift" in r["fallbacks"][0]["reason"], "a shift for each channel is a fallback")
t.check([l["acc_bound"] is None for l in r["layers"] if l["kernel"] in ("copy", "max_pool2d", "transpose")].count(False) == 0, "no bound where nothing is summed")
t.check(r["macs"] == sum(l["macs"] for l in r["layers"]) == 2 * 16, "multiply-accumulates")
r, _ = compile("batch", conv % "0.001,0.0011", "--batch", "3")
t.check(r["macs"] == 3 * 2 * 16, "multiply-accumulates of a batch")
t.close()
