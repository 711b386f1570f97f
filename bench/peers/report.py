"""What the figures of run.py say: tables as Markdown, the goals met and missed, plots. Reads results, measures nothing."""
import os
import plots

F32 = ["ort-f32", "litert-f32", "openvino-f32", "ncnn-f32", "onednn-f32"]
INT8 = ["ort-int8", "ort-int8-exact", "litert-int8", "openvino-int8", "openvino-nncf", "ncnn-int8", "onednn-int8"]
OURS = ["octavo-c", "octavo-llvm", "octavo-tuned", "octavo-own", "octavo-f32"]
UNTUNED, EXACT = OURS[:2], OURS[:3]  # without the tuner; exact for full 8-bit data
NETS = ["ad", "kws", "ic", "vww", "resnet20", "mobilenetv1", "resnet18"]
WRONG = 0.05
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
BEGIN, END = "<!-- made by bench/peers/run.py: edit nothing from here -->\n", "<!-- to here -->\n"


def is_wrong(r, p):
    off, n, _ = r["wrong"].get(p, (0, 1, 0))
    return p in INT8 and p != "litert-int8" and off > (0 if r["layer"] else WRONG * n)


def best(r, names):
    return min((n for n in names if n in r["us"]), key=lambda n: r["us"][n], default=None)


def right_int8(r):
    return [p for p in INT8 if not is_wrong(r, p)]


def ratio(r, ours, theirs):
    """Of the fastest of both groups: (ratio, ours, theirs), or None."""
    a, b = best(r, ours), best(r, theirs)
    return (r["us"][a] / r["us"][b], a, b) if a and b else None


def table(head, rows):
    return "| " + " | ".join(head) + " |\n|" + "---|" * len(head) + "\n" + "".join("| " + " | ".join(map(str, r)) + " |\n" for r in rows)


# ---- a line a net

HEAD = ["net", "threads", "MMAC", "ours", "us", "GMAC/s", "ours / best of any", "/ best right", "/ best exact int8", "/ best float", "tuned / best of any"]


def summary(r):
    def cell(ours, theirs):
        q = ratio(r, ours, theirs)
        return f"{q[0]:.2f} ({q[2]}{' (w)' if is_wrong(r, q[2]) else ''} {r['us'][q[2]]:.1f})" if q else ""
    ours = best(r, UNTUNED)
    t = r["us"].get(ours, float("nan"))
    exact8 = right_int8(r)
    tuned = ratio(r, ["octavo-tuned"], F32 + INT8)
    return [r["net"], r["threads"], f"{r['macs'] / 1e6:.3f}", ours, f"{t:.1f}", f"{r['macs'] / t / 1e3:.1f}",
            *(cell(UNTUNED, group) for group in (F32 + INT8, F32 + exact8, exact8, F32)), f"{tuned[0]:.2f}" if tuned else ""]


def summary_head():
    return table(HEAD, []).rstrip()


def summary_row(r):
    return "| " + " | ".join(map(str, summary(r))) + " |"


# ---- goals

def any_peer(r):
    return F32 + INT8


def exact_peers(r):
    return right_int8(r)


def float_peers(r):
    return F32


def ort_float(r):
    return ["ort-f32"]


class Goal:
    """`limit` by kind of machine: Z has AVX2 only, S has AVX-512. The worst of the cases counts."""

    def __init__(self, text, cases, threads, limit, peers=any_peer, ours=EXACT):
        self.text, self.cases, self.threads, self.limit, self.peers, self.ours = text, cases, threads, limit, peers, ours


ANY, NEEDED = "of any", ("3x3 64->64 56x56", "3x3 256->256 14x14", "3x3 64->64 8x8")
ONE_BY_ONE, LARGE = ("1x1 256->256 28x28", "1x1 64->64 25x5"), ("resnet20", "mobilenetv1", "resnet18")


def goals():
    yield Goal("3x3, C >= 64, of any", NEEDED, 1, {"Z": 0.60, "S": 0.50})
    yield Goal("3x3, C = 16..32, of any", ("3x3 16->16 32x32", "3x3 32->32 16x16"), 1, {"Z": 0.60, "S": 0.70})
    yield Goal("1x1, own quantization, of any", ONE_BY_ONE, 1, {"Z": 0.80, "S": 0.85}, ours=["octavo-own"])
    yield Goal("1x1, imported 8-bit, of best exact", ONE_BY_ONE, 1, {"Z": 0.90}, exact_peers)
    yield Goal("1x1, imported 8-bit, of best float", ONE_BY_ONE, 1, {"S": 1.0}, float_peers)
    yield Goal("depthwise 3x3, of any", ("depthwise 3x3 256 28x28",), 1, {"Z": 0.90, "S": 0.60})
    for net, z, s in ("ad", 0.60, 0.15), ("kws", 0.70, 0.50), ("ic", 0.55, 0.50), ("vww", 0.42, 0.35), ("resnet20", 0.55, 0.50), ("mobilenetv1", 0.95, 0.80), ("resnet18", 0.65, 0.60):
        yield Goal(f"{net}, of any", (net,), 1, {"Z": z, "S": s})
    for net, z in ("resnet20", 0.40), ("mobilenetv1", 0.70), ("resnet18", 0.45):
        yield Goal(f"{net}, of best exact int8", (net,), 1, {"Z": z}, exact_peers)
    yield Goal("mobilenetv1, own quantization, of any", ("mobilenetv1",), 1, {"Z": 0.75, "S": 0.60}, ours=["octavo-own"])
    for net in NETS:
        yield Goal(f"{net}, two threads, of any", (net,), 2, {"Z": 0.75, "S": 0.70})
    for net in NETS:
        yield Goal(f"{net}, of best float (twice as fast)", (net,), 1, {"Z": 0.50, "S": 0.50}, float_peers)
    for net in NETS:
        yield Goal(f"{net}, octavo's float of ONNX Runtime's", (net,), 1, {"Z": 1.30, "S": 1.30}, ort_float, ["octavo-f32"])


def goal_rows(results, kind):
    at = {(r["net"], r["threads"]): r for r in results}
    verdict = lambda value, limit, missed: "met" if value <= limit else f"**missed by {missed}**"
    for g in goals():
        if kind not in g.limit:
            continue
        found = [(ratio(at[c, g.threads], g.ours, g.peers(at[c, g.threads])), at[c, g.threads]) for c in g.cases if (c, g.threads) in at]
        found = [f for f in found if f[0]]
        limit = f"{g.limit[kind]:.2f}"
        if len(found) < len(g.cases):
            yield g.text, limit, "not measured", "", ""
            continue
        (value, ours, theirs), r = max(found, key=lambda f: f[0][0])
        untuned = ratio(r, UNTUNED, g.peers(r)) if g.ours is EXACT else None
        yield (g.text, limit, f"{value:.2f} ({ours} {r['us'][ours]:.1f} / {theirs}{' (w)' if is_wrong(r, theirs) else ''} {r['us'][theirs]:.1f}"
               f"{', ' + r['net'] if len(g.cases) > 1 else ''})", f"{untuned[0]:.2f}" if untuned else "",
               verdict(value, g.limit[kind], f"{value - g.limit[kind]:.2f}"))
    for net in ("mobilenetv1", "resnet18"):
        if (net, 1) in at and (net, 2) in at:
            one, two = (min(at[net, t]["us"][p] for p in EXACT if p in at[net, t]["us"]) for t in (1, 2))
            yield f"{net}, from 1 to 2 threads (at least)", "1.70", f"{one / two:.2f}", "", "met" if one / two >= 1.7 else f"**missed by {1.7 - one / two:.2f}**"
    large = [(l.get("products_share") or l["share"], r["net"], l["name"])  # of Winograd and Strassen: of their products
             for r in results for l in r.get("layers", []) if l["macs"] >= 5e6 and l.get("share")]
    if large:
        share, net, name = min(large)
        met = sum(l[0] >= 0.88 for l in large)
        yield ("share of the recipe's ceiling, layers of 5 MMAC and more (at least)", "0.88", f"{share:.2f} ({net} {name}), {met} of {len(large)} layers reach it", "",
               "met" if share >= 0.88 else f"**missed by {0.88 - share:.2f}**")


# ---- the whole

def all_figures(results):
    names = [p for p in OURS + F32 + INT8 if any(p in r["us"] for r in results)]

    def cell(r, p):
        if p not in r["us"]:
            return "-"
        off, n, _ = r["wrong"].get(p, (0, 1, 0))
        mark = f" [{'(w) ' if is_wrong(r, p) else ''}{off} of {n}]" if off else ""
        return f"{r['us'][p]:.1f} ({r['us'][p] - r['call'][p]:.1f}){mark}"
    return table(["net", "threads", *names], [[r["net"], r["threads"], *(cell(r, p) for p in names)] for r in results])


def accuracy(results):
    rows = []
    for r in results:
        for kind, a in r.get("accuracy", {}).items() if r["threads"] == 1 else ():
            share = lambda n: f"{100 * n / a['of']:.2f} %" if n is not None else "-"
            rows.append([r["net"], kind, a["of"], share(a.get("float")), share(a["right"]), share(a["agree"])])
    return table(["net", "quantization", "samples", "top-1, float", "top-1", "agrees with float"], rows)


def layers(results):
    """The costliest layers of each net, as `octavo bench` has them."""
    rows = []
    for r in results:
        worst = sorted(r.get("layers", []), key=lambda l: -l["ns"])[:6]
        total = sum(l["ns"] for l in r.get("layers", []))
        for l in worst:
            share = l.get("share")
            rows.append([r["net"], l["name"], f"{l['kernel']} {l.get('steps') or ''}".strip(), f"{l['ns'] / 1e3:.1f}", f"{100 * l['ns'] / total:.0f} %", f"{l['macs'] / 1e6:.3f}", f"{l['gmacs']:.1f}",
                         f"{100 * share:.0f} %" if isinstance(share, (int, float)) else ""])
    return table(["net", "layer", "kernel", "us", "of the net", "MMAC", "GMAC/s", "of the ceiling"], rows)


def markdown(results):
    order = {n: i for i, n in enumerate(NETS)}
    results = sorted(results, key=lambda r: (r["layer"], r["threads"], order.get(r["net"], 99)))
    machines = sorted({r["machine"] for r in results})
    if len(machines) > 1:
        raise SystemExit("figures of several machines: " + "; ".join(machines))
    kind = "S" if "avx512bw" in machines[0] else "Z"
    whole, single = [r for r in results if not r["layer"]], [r for r in results if r["layer"]]
    absent = {}
    for r in results:
        for p, why in r["missing"].items():
            absent.setdefault((p, why), []).append(f"{r['net']}")
    text = f"""{machines[0]}; {', '.join(sorted({v for r in results for v in r['versions']}))}; {', '.join(sorted({r['how'] for r in results}))}, medians, microseconds a call.

Every peer in its best configuration and with its own quantizer, a process each, asked in turn; octavo's codes are the interpreter's, compared in the same run on the timed object. (w): more than 5 % of a net's outputs, or one of
a layer's, are more than two codes off the peer's own exact form. MobileNetV1, ResNet-18 and the single layers have random weights. `octavo-c` is C through cc -O3, `octavo-llvm` the LLVM object, both without the tuner; `octavo-tuned` is
C after `compile --tune`; these three are exact for full 8-bit data. `octavo-own` is quantized by octavo with `--saturation pair4 --act-range reduced`, for sums in 16 bits; its accuracy is below. `octavo-f32` is the float model.

![one thread](plots/nets-1.svg)

![two threads](plots/nets-2.svg)

![single layers](plots/layers-1.svg)

### Nets

{table(HEAD, [summary(r) for r in whole])}
### Single layers

{table(HEAD, [summary(r) for r in single])}
### Goals

`PERFORMANCE.md` 6, machine kind {kind}; best of octavo's exact builds where nothing else is said, the worst case of a row of several.

{table(["case", "goal", "measured", "untuned", ""], goal_rows(results, kind))}
### Accuracy of the two quantizations

{accuracy(whole)}
### All figures

Total microseconds, in parentheses net of the call, in brackets outputs more than two codes off.

{all_figures(whole)}
{all_figures(single)}
### Where the time goes

The six costliest layers of each net, int8, one thread, by `octavo bench`.

{layers(whole)}
"""
    for (p, why), where in sorted(absent.items()):
        text += f"No {p} ({', '.join(dict.fromkeys(where)) if len(set(where)) < 8 else 'everywhere'}): {why}\n\n"
    return text


def write(results):
    if not results:
        raise SystemExit("no figures")
    for r in results:  # as JSON left them
        r["wrong"] = {p: tuple(v) for p, v in r["wrong"].items()}
    text, path = markdown(results), os.path.join(ROOT, "RESULTS.md")
    os.makedirs(os.path.join(ROOT, "plots"), exist_ok=True)
    for name, chosen, title in (("nets-1", [r for r in results if not r["layer"] and r["threads"] == 1], "one thread"),
                                ("nets-2", [r for r in results if not r["layer"] and r["threads"] == 2], "two threads"),
                                ("layers-1", [r for r in results if r["layer"]], "single layers, one thread")):
        chosen.sort(key=lambda r: NETS.index(r["net"]) if r["net"] in NETS else 99)
        with open(os.path.join(ROOT, "plots", name + ".svg"), "w") as f:
            f.write(plots.bars(chosen, title, is_wrong, OURS, F32))
    old = open(path).read()
    before, rest = old.split(BEGIN)
    with open(path, "w") as f:
        f.write(before + BEGIN + "\n" + text.rstrip() + "\n\n" + END + rest.split(END)[1])
