"""compare and its reports: every figure against numpy on a network of two layers, JSON held against docs/schema.json, HTML that is
well formed, escaped and the same bytes whatever the threads and the folder, and the arena as the compiler lays it out."""
import html.parser, json, math
from common import *

need_oracles(__file__)
import numpy as np
import jsonschema

t = Tally()
there = folder("models")
os.chdir(there)
rng = np.random.default_rng(7)
f32, n = np.float32, 40


def save(name, x):
    np.save(name, x)
    return name


def numbers(x):
    return ",".join(f"{float(v)!r}" if x.dtype == f32 else str(int(v)) for v in x.flat)


# ---- a network and what quantizing made of it, both written here: x -> dense, relu -> dense; the second layer's range clips
x = rng.normal(0, 1, (n, 6)).astype(f32)
w1, b1 = rng.normal(0, 1, (5, 6)).astype(f32), rng.normal(0, 0.5, 5).astype(f32)
w2, b2 = rng.normal(0, 1, (4, 5)).astype(f32), rng.normal(0, 0.5, 4).astype(f32)
sx, sh, sy, s1, s2 = f32(0.03), f32(0.025), f32(0.02), f32(0.02), np.asarray([0.02, 0.019, 0.018, 0.021], f32)
zh, zy = -128, 5


def codes(v, scale, zero):
    return np.clip(np.rint(v / scale) + zero, -128, 127).astype(np.int64)


k1, k2 = codes(w1, s1, 0), codes(w2, s2[:, None], 0)
c1 = np.rint(b1.astype(np.float64) / (float(sx) * float(s1))).astype(np.int64)
c2 = np.rint(b2.astype(np.float64) / (float(sh) * s2.astype(np.float64))).astype(np.int64)
hostile = "<script>alert('x')</script> & \\\"q\\\" \\x01\\x7f \\xff"
with open("a.8vo", "w") as f:
    f.write(f"""octavo 1
model net_a "{hostile}"
input x : f32[N,6]
const @w1 : f32[5,6] = ({numbers(w1)})
const @b1 : f32[5] = ({numbers(b1)})
const @w2 : f32[4,5] = ({numbers(w2)})
const @b2 : f32[4] = ({numbers(b2)})
p = dense(x, @w1, @b1)
h = relu(p)
y = dense(h, @w2, @b2) from="{hostile}"
output y
""")
with open("b.8vo", "w") as f:
    f.write(f"""octavo 1
model net_b "{hostile}"
input x : i8[N,6] scale={sx!s} zero=0
const @w1 : i8[5,6] scale={s1!s} = ({numbers(k1)})
const @b1 : i32[5] = ({numbers(c1)})
const @w2 : i8[4,5] scale[0]=({",".join(map(str, s2))}) = ({numbers(k2)})
const @b2 : i32[4] = ({numbers(c2)})
h : i8 scale={sh!s} zero={zh} = dense(x, @w1, @b1) profile=onnx clip=(-128,127)
y : i8 scale={sy!s} zero={zy} = dense(h, @w2, @b2) profile=onnx
output y
""")
save("x.npy", x)
labels = rng.integers(0, 4, n)
save("labels.npy", labels)


def db(signal, noise):
    return 10 * math.log10(signal / noise)


def integer(acc, scale, zero):
    return np.clip(np.rint(acc.astype(f32) * scale.astype(f32)) + zero, -128, 127)


# ---- float, whole integer model, and each layer from the float model's values
h = np.maximum(x.astype(np.float64) @ w1.T + b1, 0)
y = h @ w2.T + b2
qx = codes(x, sx, 0)
qh = integer(qx @ k1.T + c1, sx * s1 / sh, zh)
qy = integer((qh.astype(np.int64) - zh) @ k2.T + c2, sh * s2 / sy, zy)
gh = qh  # its input is the model's
gy = integer((codes(h, sh, zh) - zh) @ k2.T + c2, sh * s2 / sy, zy)
real = {"h": (h, float(sh), zh, qh, gh), "y": (y, float(sy), zy, qy, gy)}
wrong = {"h": np.maximum(x @ (k1 * float(s1)).T + b1, 0), "y": h @ (k2 * s2[:, None].astype(np.float64)).T + b2}

r = run_json("compare", "a.8vo", "b.8vo", "--data", "x.npy", "--labels", "labels.npy")
got = {v["name"]: v for v in r["tensors"]}
t.check(list(got) == ["x", "h", "y"] and r["samples"] == n, "values in order")


def near(a, b, what, within=1e-4):
    t.check(a is not None and abs(a - b) <= within * max(1, abs(b)), f"{what}: {a} instead of {b}")


for name, (v, s, z, q, g) in real.items():
    b, alone, o = s * (q - z), s * (g - z) - v, got[name]
    energy = (v * v).sum()
    near(o["sqnr_db"], db(energy, ((b - v) ** 2).sum()), name + " sqnr")
    near(o["max_abs"], abs(b - v).max(), name + " max_abs")
    near(o["cosine"], (b * v).sum() / math.sqrt(energy * (b * b).sum()), name + " cosine")
    out = (v / s + z < -128.5) | (v / s + z > 127.5)
    near(o["clipped"], out.mean(), name + " clipped")
    near(o["alone_db"], db(energy, (alone ** 2).sum()), name + " alone")
    put = s * (codes(v, s, z) - z) - v
    own = (alone ** 2).sum()
    near(o["causes"]["clipping"], (put[out] ** 2).sum() / own, name + " clipping")
    near(o["causes"]["rounding"], (put[~out] ** 2).sum() / own, name + " rounding")
    near(o["causes"]["weights"], ((wrong[name] - v) ** 2).sum() / own, name + " weights", 1e-3)
    near(o["causes"]["shift"], (alone.mean(0) ** 2).sum() * n / own, name + " shift")
    near(o["lo"], s * (-128 - z), name + " lo")
    bins = o["histogram"]
    edges = np.linspace(bins["lo"], bins["hi"], 65)
    count = [int(((v >= lo) & (v < hi)).sum()) for lo, hi in zip(edges, edges[1:])]
    t.check(sum(abs(i - k) for i, k in zip(count, bins["count"])) <= 2, name + " histogram")
    t.check(sum(bins["count"]) + bins["below"] + bins["above"] == v.size, name + " counts all")
t.check(got["y"]["clipped"] > 0, "something is clipped")
# effect: the first runs, the layer's own error and nothing else carried on in float
m = 16
near(got["h"]["effect_db"], db((y[:m] ** 2).sum(), (((float(sh) * (gh - zh) - h) @ w2.T)[:m] ** 2).sum()), "effect of h")
near(got["y"]["effect_db"], db((y[:m] ** 2).sum(), ((float(sy) * (gy - zy) - y)[:m] ** 2).sum()), "effect of y")
t.check(got["x"]["alone_db"] is None and got["x"]["effect_db"] is None, "inputs have no layer")
wf = {"h": (w1, k1 * float(s1)), "y": (w2, k2 * s2[:, None].astype(np.float64))}
for name, (v, q) in wf.items():
    o = got[name]["weights"]
    near(o["sqnr_db"], db((v.astype(float) ** 2).sum(), ((q - v) ** 2).sum()), name + " weight sqnr")
    near(o["worst_channel_db"], min(db((a.astype(float) ** 2).sum(), ((b - a) ** 2).sum()) for a, b in zip(v, q)), name + " worst channel")
    t.check(o["bits"] == 8 and o["scales"] == ("tensor" if name == "h" else "channel"), name + " weight scales")
t.check(any("beyond" in f["why"] and "minmax" in f["try"] for f in got["y"]["findings"]), "clipping is found to be the cause")
t.check(r["worst"][0] == min(("h", "y"), key=lambda k: got[k]["effect_db"]), "worst first")

# ---- answers
before, now = y.argmax(1), qy.argmax(1)
a = r["answers"]
near(a["top1_a"], (before == labels).mean(), "top-1 before")
near(a["top1_b"], (now == labels).mean(), "top-1 now")
moves = {}
for l, i, k in zip(labels, before, now):
    if i != k: moves[(int(l), int(i), int(k))] = moves.get((int(l), int(i), int(k)), 0) + 1
t.check({(v["label"], v["from"], v["to"]): v["samples"] for v in a["moves"]} == moves and a["changed"] == sum(moves.values()), "moves")
plain = run_json("compare", "a.8vo", "b.8vo", "--data", "x.npy")["answers"]
t.check(plain["top1_a"] is None and plain["changed"] == a["changed"], "answers without labels")

# ---- the arena: nothing alive at once overlaps, and it is the one that compile reports
run("compile", "b.8vo", "--target", "c99", "-o", "built")
mem = r["memory"]
t.check(mem["arena_bytes"] == json.loads(read("built.json"))["arena_bytes"] and mem["target"] == "c99", "arena bytes")
blocks = mem["blocks"]
t.check(blocks and all(v["offset"] + v["bytes"] <= mem["arena_bytes"] for v in blocks), "blocks lie in the arena")
t.check(all(p["last"] < q["first"] or q["last"] < p["first"] or p["offset"] + p["bytes"] <= q["offset"] or q["offset"] + q["bytes"] <= p["offset"]
            for i, p in enumerate(blocks) for q in blocks[:i]), "blocks do not overlap")
t.check(run_json("compare", "a.8vo", "b.8vo", "--data", "x.npy", "--target", "cortex-m4")["memory"]["target"] == "cortex-m4", "another target")

# ---- nothing differs; engines agree
same = run_json("compare", "b.8vo", "b.8vo", "--data", "x.npy")["tensors"]
t.check(all(v["sqnr_db"] is None and v["max_abs"] == 0 and not v["findings"] for v in same), "a model beside itself")
jit = run_json("compare", "a.8vo", "b.8vo", "--data", "x.npy", "--labels", "labels.npy", "--engine", "c")
t.check(jit == r, "the same figures by compiled C")
run("compare", "a.8vo", "b.8vo", "--data", "x.npy", "--min-sqnr", "90", expect=1)

# ---- the schema: what it says is what there is, and it refuses what is not
schema = json.loads(read(os.path.join(source, "docs", "schema.json")))
jsonschema.Draft202012Validator.check_schema(schema)


def valid(what, value):
    errors = list(jsonschema.Draft202012Validator({"$ref": "#/$defs/" + what, "$defs": schema["$defs"]}).iter_errors(value))
    return not errors


t.check(valid("compare", r) and not valid("compare", r | {"x": 1}) and not valid("compare", {}), "compare fits the schema")
t.check(valid("eval", run_json("eval", "b.8vo", "--data", "x.npy", "--against", "a.8vo")), "eval fits the schema")
t.check(valid("inspect", run_json("inspect", "b.8vo")) and valid("inspect", run_json("inspect", "a.8vo")), "inspect fits the schema")
t.check(valid("compile", json.loads(read("built.json"))), "the report of compile fits the schema")
t.check(valid("check", run_json("check", "b.8vo")), "check fits the schema")
for verb in ("ops", "passes", "targets"):
    t.check(valid(verb, run_json(verb)), verb + " fits the schema")
t.check(set(schema["$defs"]) >= {"compare", "eval", "inspect", "compile", "check", "ops", "passes", "targets"}, "all there")


# ---- HTML
class Page(html.parser.HTMLParser):
    void = {"meta", "br"}

    def __init__(self, text):
        super().__init__()
        self.stack, self.bad, self.seen, self.text = [], [], {}, ""
        self.feed(text)
        self.close()
        self.bad += self.stack

    def handle_starttag(self, tag, attrs):
        self.seen[tag] = self.seen.get(tag, 0) + 1
        self.bad += [f"{tag} {k}" for k, v in attrs if k.startswith("on") or k in ("src", "href", "style")]
        if tag not in self.void: self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen[tag] = self.seen.get(tag, 0) + 1

    def handle_endtag(self, tag):
        if not self.stack or self.stack.pop() != tag: self.bad.append("/" + tag)

    def handle_data(self, data):
        self.text += data


for name, args in (("one.html", ["--threads", "1"]), ("three.html", ["--threads", "3"])):
    run("compare", "a.8vo", "b.8vo", "--data", "x.npy", "--labels", "labels.npy", "--html", name, *args)
os.makedirs("far away", exist_ok=True)
run("compare", os.path.join(there, "a.8vo"), os.path.join(there, "b.8vo"), "--data", os.path.join(there, "x.npy"), "--labels", "../labels.npy", "--html", "four.html", cwd="far away")
page = read("one.html")
t.check(page == read("three.html") == read("far away/four.html"), "the same bytes by other threads and from another folder")
text = page.decode()
p = Page(text)
t.check(not p.bad, f"well formed: {p.bad[:5]}")
t.check("script" not in p.seen and p.seen.get("style") == 1 and p.seen["html"] == 1, "no script in it")
t.check(text.count("&lt;script&gt;") >= 2 and "<script>" in p.text and '& "q"' in p.text, "names stay text")
t.check(not any(b < 32 and b != 10 or b == 127 for b in page), "no control bytes")
t.check("\ufffd" in text, "bytes that are no text are shown as such")
t.check(there.encode() not in page and b"http" not in page and b"url(" not in page and b"@import" not in page, "nothing from elsewhere, no paths")
t.check(p.seen["svg"] >= 2 * 3 + 3 + 1 and "prefers-color-scheme" in text and "@media print" in text and "viewport" in text, "pictures, light and dark, paper, phone")
run("compare", "a.8vo", "b.8vo", "--data", "x.npy", "--labels", "labels.npy", "--html", "figures.json")
t.check(json.loads(read("figures.json")) == r, "a name that ends in .json gets JSON")
for name in ("r.html", "r2.html"): run("quantize", "a.8vo", "--data", "x.npy", "--labels", "labels.npy", "--report", name, "-o", "q.8vo", "--threads", "1" if name == "r.html" else "2")
t.check(read("r.html") == read("r2.html") and not Page(read("r.html").decode()).bad and b"calibration data" in read("r.html"), "a report of quantize")
run("quantize", "a.8vo", "--data", "x.npy", "--labels", "labels.npy", "--report", "r.json", "-o", "q.8vo")
made, again = json.loads(read("r.json")), run_json("compare", "a.8vo", "q.8vo", "--data", "x.npy", "--labels", "labels.npy")
t.check(valid("compare", made) and made["of"] == "calibration data", "its JSON fits the schema")
t.check(made["answers"] == again["answers"] and [v["name"] for v in made["tensors"]] == ["x", "h", "y"], "it is what compare finds")
t.check(all(abs(v["sqnr_db"] - w["sqnr_db"]) < 1e-3 for v, w in zip(made["tensors"], again["tensors"])), "and with the same figures")
run("quantize", "a.8vo", "--stats", "none.stats", "--report", "r.html", "-o", "q.8vo", expect=64)
table = run("compare", "a.8vo", "b.8vo", "--data", "x.npy")
t.check("what harms the output most" in table and all(v in table for v in ("x", "h", "y")), "the table")
t.close()
