#!/usr/bin/env python3
"""octavo beside its peers: whole nets and single layers, one run, one machine.

    sh bench/peers/setup.sh && .peers/bin/python bench/peers/run.py build-release/octavo [--nets ic,kws] [--threads 1,2] [--rounds 11]

Every peer is a process of its own; all are alive and pinned, and asked in turn, the order rotated each round (peer.py). Times are
medians over the rounds of a call with bound buffers, in microseconds: total, and net of what the peer's call of a one-element net
costs. octavo's output codes are compared with the interpreter's in the same run, on the same object that is timed; those of int8
peers with their own exact form: ONNX Runtime's QDQ file without optimizations (also for OpenVINO); LiteRT's reference kernels,
whose rounding differs though both sum exactly, so that LiteRT is counted right; oneDNN, for layers only, sums of its own program.
A peer is wrong, (w), when an output of a single layer, or more than 5 % of those of a net, are more than two codes off.
Random-weight nets (MobileNetV1, ResNet-18, layers) use recipes exact for full 8-bit data on octavo's side. Prints Markdown;
--json FILE keeps all figures."""
import argparse, json, os, platform, re, statistics, subprocess, sys
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import numpy as np
import nets, prepare

F32 = ["ort-f32", "litert-f32", "openvino-f32", "ncnn-f32", "onednn-f32"]
INT8 = ["ort-int8", "ort-int8-exact", "litert-int8", "openvino-int8", "onednn-int8"]
WRONG = 0.05
OURS = ["octavo-c", "octavo-llvm", "octavo-f32"]
NETS = ["ad", "kws", "ic", "vww", "resnet20", "mobilenetv1", "resnet18"]


class Peer:
    def __init__(self, name, folder, threads, layer):
        self.name, self.times, self.calls, self.verdict = name, [], [], None
        command = [sys.executable, os.path.join(HERE, "peer.py"), name, folder, str(threads)]
        if name.startswith("onednn"):
            command = [os.path.join(folder, "..", "onednn"), name[7:], *(str(int(v)) for v in (threads, *layer))]
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  env={**os.environ, "OMP_NUM_THREADS": str(threads)})

    def answer(self):
        line = self.p.stdout.readline()
        if not line:
            raise RuntimeError((self.p.stderr.read().strip().splitlines() or ["ended"])[-1][:160])
        return line.strip()

    def ask(self, text):
        self.p.stdin.write(text + "\n")
        self.p.stdin.flush()
        return self.answer()


def exact_reference(kind, folder):
    """Outputs of the peer's own exact form, and the step between its output codes."""
    x = np.load(os.path.join(folder, "x.npy"))
    if kind == "litert-int8":
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
        i = Interpreter(os.path.join(folder, "net.int8.tflite"), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        i.allocate_tensors()
        di, do = i.get_input_details()[0], i.get_output_details()[0]
        ys = []
        for v in x:
            v = v[None].transpose(0, 2, 3, 1) if x.ndim == 4 else v[None]
            if di["dtype"] != np.float32:
                v = np.clip(np.rint(v / di["quantization"][0]) + di["quantization"][1], -128, 127)
            i.set_tensor(di["index"], np.ascontiguousarray(v.astype(di["dtype"])))
            i.invoke()
            y = i.get_tensor(do["index"])
            if do["dtype"] != np.float32:
                y = (y.astype(np.float32) - do["quantization"][1]) * do["quantization"][0]
            ys.append((y.transpose(0, 3, 1, 2) if y.ndim == 4 else y).reshape(1, -1))
    else:
        import onnxruntime as ort
        so = ort.SessionOptions()
        so.graph_optimization_level, so.log_severity_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL, 3
        s = ort.InferenceSession(os.path.join(folder, "net.qdq.onnx"), so, providers=["CPUExecutionProvider"])
        ys = [s.run(None, {s.get_inputs()[0].name: v[None]})[0].reshape(1, -1) for v in x]
    y = np.concatenate(ys)
    steps = np.diff(np.unique(y))
    return y, float(steps[steps > 1e-7 * max(1, np.abs(y).max())].min()) if (steps > 0).any() else 1.0


def judge(peers, folder):
    """Marks peers whose int8 outputs are not their own exact ones; ours must be the interpreter's."""
    verdict = {}
    for p in peers:
        said = p.ask("outputs").split()
        if p.name.startswith("onednn"):  # compares with exact sums by itself
            verdict[p.name] = (int(said[0]), int(said[1]), 0.0)
            continue
        got = np.load(os.path.join(folder, p.name + ".npy"))
        if p.name in ("octavo-c", "octavo-llvm"):
            want = np.load(os.path.join(folder, "interp.npy")).reshape(got.shape)
            wrong = int((got != want).sum())
            if wrong:
                sys.exit(f"{p.name} differs from the interpreter in {wrong} of {got.size} codes")
            verdict[p.name] = (0, got.size, 0.0)
        elif p.name in INT8:
            want, step = exact_reference(p.name, folder)
            off = np.abs(got - want) / step
            verdict[p.name] = (int((off > 2.5).sum()), got.size, float(off.max()))
    return verdict


def measure(name, threads, a, work):
    folder = os.path.join(work, re.sub(r"[^a-z0-9]+", "_", name.lower()))
    if not nets.prepare(name, folder, a.shared):
        return None
    single = name in nets.LAYERS
    wanted = [p for p in (OURS[:2] if single else OURS) + F32 + INT8
              if (not a.peers or p in a.peers.split(",")) and (single or not p.startswith("onednn"))]
    missing = prepare.everything(folder, a.octavo, wanted, a.options.split() if a.options else [])
    peers = []
    for p in wanted:
        if p in missing or (p == "ort-int8-exact" and "ort-int8" in missing) or (p == "openvino-int8" and "ort-int8" in missing):
            continue
        try:
            peer = Peer(p, folder, threads, nets.LAYERS.get(name))
            peer.answer()
            peers.append(peer)
        except (RuntimeError, OSError) as e:
            missing[p] = str(e)
    verdict = judge(peers, folder)
    for r in range(a.rounds):
        for i in range(len(peers)):
            p = peers[(i + r) % len(peers)]
            p.times.append(float(p.ask(f"time {a.seconds}")))
    for p in peers:
        try:
            p.calls = [float(p.ask("call 0.01")) for _ in range(3)]
        except RuntimeError:  # it cannot run the one-element net
            p.calls = [0.0]
        p.p.stdin.close()
        p.p.wait()
    us = {p.name: statistics.median(p.times) * 1e6 for p in peers}
    call = {p.name: min(p.calls) * 1e6 for p in peers}
    spread = {p.name: [float(v) * 1e6 for v in np.percentile(p.times, [10, 90])] for p in peers}
    return {"net": name, "threads": threads, "macs": nets.macs(os.path.join(folder, "net.onnx")), "us": us, "call": call, "spread": spread,
            "wrong": verdict, "missing": missing}


def is_wrong(r, p):
    off, n, _ = r["wrong"].get(p, (0, 1, 0))
    return p != "litert-int8" and off > (0 if r["net"] in nets.LAYERS else WRONG * n)


def best(us, names):
    have = [n for n in names if n in us]
    return min(have, key=lambda n: us[n]) if have else None


def summary(r):
    """Ours, and the ratios to the fastest peer of any kind, the fastest right one (float ones are), and the fastest float one."""
    us, ours = r["us"], best(r["us"], OURS[:2])
    exact8 = [p for p in INT8 if not is_wrong(r, p)]
    ratio = lambda p: f"{us[ours] / us[p]:.2f} ({p}{' (w)' if is_wrong(r, p) else ''} {us[p]:.1f})" if p and ours else ""
    return ours, *(ratio(best(us, group)) for group in (F32 + INT8, F32 + exact8, exact8, F32))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("octavo")
    ap.add_argument("--shared", default="../shared")
    ap.add_argument("--nets", default=",".join(NETS))
    ap.add_argument("--layers", action="store_true", help="the layer list instead of nets")
    ap.add_argument("--threads", default="1")
    ap.add_argument("--rounds", type=int, default=11)
    ap.add_argument("--seconds", type=float, default=0.03)
    ap.add_argument("--work", default="build-peers")
    ap.add_argument("--peers", default="")
    ap.add_argument("--options", default="", help="more options for octavo compile")
    ap.add_argument("--json")
    a = ap.parse_args()
    a.octavo, work = os.path.abspath(a.octavo), os.path.abspath(a.work)
    nets.prepare("tiny", os.path.join(work, "tiny"), a.shared)
    for p, why in prepare.everything(os.path.join(work, "tiny"), a.octavo, OURS + F32 + INT8, []).items():
        print(f"the one-element net: no {p}: {why}", file=sys.stderr)
    if a.layers:
        subprocess.run(["c++", "-O2", "-o", os.path.join(work, "onednn"), os.path.join(HERE, "onednn.cpp"), "-ldnnl"], check=False)
    cpu = re.search(r"model name\s*:\s*(.*)", open("/proc/cpuinfo").read())[1]
    versions = subprocess.run([sys.executable, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True).stdout
    versions = [v for v in versions.split() if re.match(r"(onnxruntime|ai-edge-litert|ai-edge-quantizer|openvino|ncnn|pnnx)==", v)]
    print(f"{cpu}, {len(os.sched_getaffinity(0))} processors, {platform.system()}; {', '.join(versions)}; {a.rounds} rounds of {a.seconds} s, medians, microseconds a call\n")
    results = []
    print("| net | threads | MMAC | ours | us | GMAC/s | ours / best of any | ours / best right | ours / best exact int8 | ours / best float |\n|---|---|---|---|---|---|---|---|---|---|")
    for name in (list(nets.LAYERS) if a.layers else a.nets.split(",")):
        for threads in map(int, a.threads.split(",")):
            r = measure(name, threads, a, work)
            if r is None:
                print(f"| {name} | {threads} | the shared folder is not there |")
                continue
            results.append(r)
            ours, *ratios = summary(r)
            t = r["us"].get(ours, float("nan"))
            print(f"| {name} | {threads} | {r['macs'] / 1e6:.3f} | {ours} | {t:.1f} | {r['macs'] / t / 1e3:.1f} | {' | '.join(ratios)} |", flush=True)
    print("\nAll figures: total us (net of the call), in brackets what is more than two codes off the peer's own exact form.\n")
    names = OURS + F32 + INT8
    print("| net | threads | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 2))
    for r in results:
        def cell(p):
            if p not in r["us"]:
                return "-"
            wrong = r["wrong"].get(p, (0, 1, 0))
            mark = f" [{'(w) ' if is_wrong(r, p) else ''}{wrong[0]} of {wrong[1]}]" if wrong[0] else ""
            return f"{r['us'][p]:.1f} ({r['us'][p] - r['call'][p]:.1f}){mark}"
        print(f"| {r['net']} | {r['threads']} | " + " | ".join(map(cell, names)) + " |")
    for r in results:
        for p, why in r["missing"].items():
            print(f"\n{r['net']}: no {p}: {why}", end="")
    print()
    if a.json:
        json.dump(results, open(a.json, "w"), indent=1)


main()
