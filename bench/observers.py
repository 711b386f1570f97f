#!/usr/bin/env python3
"""Top-1 of each observer of activations, with a weight scale per channel and per tensor, on the trained networks, beside what the peers' quantizers
reach (shared/models/README.md); a Markdown table, written between its markers into docs/quantization.md.

    python3 bench/observers.py build-release/octavo ../shared FOLDER [--repair cle,bias ...]    each --repair adds its rows

Ranges come from the shared calibration data, top-1 is over the shared test data, by octavo's just-in-time code (the interpreter's codes)."""
import json, os, re, subprocess, sys

octavo, shared, folder = map(os.path.abspath, sys.argv[1:4])
source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NETS = {"ic": ("ic_resnet8", "ic_cal_f32", "ic_test1000_f32", "cifar_test1000_labels"),
        "resnet20": ("resnet20_cifar10", "resnet20_cal_f32", "resnet20_test1000_f32", "cifar_test1000_labels"),
        "kws": ("kws_dscnn", "kws_cal_f32", "kws_test_f32", "kws_test_labels")}
OBSERVERS = re.findall(r"^OBSERVER\((\w+),", open(os.path.join(source, "ir", "observers.def")).read(), re.M)
REPAIRS = [None] + [sys.argv[i + 1] for i, a in enumerate(sys.argv) if a == "--repair"]
MARKS = "<!-- bench/observers.py: begin -->\n", "<!-- bench/observers.py: end -->\n"


def run(*args):
    p = subprocess.run([octavo, *args], capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"octavo {' '.join(args)}\n{p.stderr}")
    return p.stdout


def data(name):
    return f"{shared}/data/{name}.npy"


def score(net, observer, granularity, repair):
    model, cal, test, labels = NETS[net]
    d = f"{folder}/{net}_{observer}_{granularity}"
    open(f"{d}.json", "w").write(json.dumps({"default": {"act_observer": observer, "granularity": granularity}}))
    run("quantize", f"{folder}/{net}.8vo", "--data", data(cal), "--config", f"{d}.json", *(["--repair", repair] if repair else []), "-o", f"{d}.8vo")
    return json.loads(run("eval", f"{d}.8vo", "--data", data(test), "--labels", data(labels), "--engine", "jit", "--json"))["top1"]


def main():
    os.makedirs(folder, exist_ok=True)
    head = [f"{net}, {g}" for net in NETS for g in ("channel", "tensor")]
    lines = ["| observer | " + " | ".join(head) + " |", "|---" * (1 + len(head)) + "|"]
    floats, peers = [], {"ONNX Runtime, exact": [], "ONNX Runtime, as it comes": [], "official int8, LiteRT": []}
    official = dict(re.findall(r"^\| (\w+) \|(.*)\|$", open(f"{shared}/models/README.md").read(), re.M))
    for net, (model, _, test, labels) in NETS.items():
        run("import", f"{shared}/models/{model}.onnx", "-o", f"{folder}/{net}.8vo")
        top1 = json.loads(run("eval", f"{folder}/{net}.8vo", "--data", data(test), "--labels", data(labels), "--engine", "jit", "--json"))["top1"]
        floats += 2 * [f"{100 * top1:.2f}"]
        _, litert, exact, default = (c.split(";")[0].strip(" *") for c in official.get(model, official.get(net, "")).split("|")[:4])
        for name, figure in zip(peers, (exact, default, litert)):
            peers[name] += [figure.replace("*", "") if figure[:1].isdigit() else "", ""]
    lines.append("| float | " + " | ".join(floats) + " |")
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in peers.items()]
    for repair in REPAIRS:
        for o in OBSERVERS:
            cells = [f"{100 * score(net, o, g, repair):.2f}" for net in NETS for g in ("channel", "tensor")]
            lines.append(f"| `{o}`{f', {repair}' if repair else ''} | " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
    table = "\n".join(lines) + "\n"
    page = os.path.join(source, "docs", "quantization.md")
    text = open(page).read()
    a, b = text.index(MARKS[0]) + len(MARKS[0]), text.index(MARKS[1])
    open(page, "w").write(text[:a] + table + text[b:])


main()
