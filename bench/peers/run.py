#!/usr/bin/env python3
"""octavo beside its peers: whole nets and single layers, one run, one machine.

    sh bench/peers/setup.sh && .peers/bin/python bench/peers/run.py build-release/octavo

measures every net with one and two threads and every single layer, keeps all figures in build-peers/results.json, draws
bench/plots/*.svg and writes the generated part of bench/RESULTS.md (report.py). Parts of it: --nets ic,kws, --layers, --threads 1,
--peers a,b; what is measured replaces the same net and threads in the file (--json), --resume measures only what the file lacks, and
--report measures nothing: `run.py --report a.json b.json` joins files of one machine.

Every peer is a process of its own; all are alive and pinned, and asked in turn, the order rotated each round (peer.py). Times are
medians over the rounds of a call with bound buffers, in microseconds: total, and net of what the peer's call of a one-element net
costs. octavo's output codes are compared with the interpreter's in the same run, on the same object that is timed; those of int8
peers with their own exact form: ONNX Runtime's QDQ file without optimizations (also for OpenVINO on that file); OpenVINO without its
low-precision passes for NNCF's; LiteRT's reference kernels, whose rounding differs though both sum exactly, so that LiteRT is counted
right; oneDNN, for layers only, sums of its own program. A peer is wrong, (w), when an output of a single layer, or more than 5 % of
those of a net, are more than two codes off. Random-weight nets (MobileNetV1, ResNet-18, layers) use recipes exact for full 8-bit data
on octavo's side, but for octavo-own: weights and activations quantized for sums in 16 bits, whose cost in accuracy on the trained nets
is measured and printed."""
import argparse, json, os, platform, re, statistics, subprocess, sys
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import numpy as np
import nets, prepare, report
from report import F32, INT8, NETS, OURS


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
    kept = os.path.join(folder, ("ort" if kind in ("ort-int8-exact", "openvino-int8") else kind) + "-exact.npy")
    made = {"litert-int8": "net.int8.tflite", "openvino-nncf": "net.nncf.xml"}.get(kind, "net.qdq.onnx")
    if not prepare.fresh(kept, os.path.join(folder, made)):
        np.save(kept, run_exactly(kind, folder))
    y = np.load(kept)
    steps = np.diff(np.unique(y))
    if kind == "openvino-nncf":  # outputs are float: an 8-bit code's worth of them
        return y, float(np.ptp(y)) / 255 or 1.0
    return y, float(steps[steps > 1e-7 * max(1, np.abs(y).max())].min()) if (steps > 0).any() else 1.0


def run_exactly(kind, folder):
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
    elif kind == "openvino-nncf":
        import openvino as ov
        c = ov.Core().compile_model(os.path.join(folder, "net.nncf.xml"), "CPU", {"INFERENCE_PRECISION_HINT": "f32", "LP_TRANSFORMS_MODE": "NO"})
        r = c.create_infer_request()
        ys = [np.array(r.infer([v[None]])[c.output(0)]).reshape(1, -1) for v in x]
    else:
        import onnxruntime as ort
        so = ort.SessionOptions()
        so.graph_optimization_level, so.log_severity_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL, 3
        s = ort.InferenceSession(os.path.join(folder, "net.qdq.onnx"), so, providers=["CPUExecutionProvider"])
        ys = [s.run(None, {s.get_inputs()[0].name: v[None]})[0].reshape(1, -1) for v in x]
    return np.concatenate(ys)


def judge(peers, folder):
    """Marks peers whose int8 outputs are not their own exact ones; ours must be the interpreter's."""
    verdict = {}
    for p in peers:
        said = p.ask("outputs").split()
        if p.name.startswith("onednn"):  # compares with exact sums by itself
            verdict[p.name] = (int(said[0]), int(said[1]), 0.0)
            continue
        got = np.load(os.path.join(folder, p.name + ".npy"))
        if p.name in OURS and p.name != "octavo-f32":
            want = np.load(os.path.join(folder, "own.npy" if p.name == "octavo-own" else "interp.npy")).reshape(got.shape)
            wrong = int((got != want).sum())
            if wrong:
                print(f"{p.name} DIFFERS from the interpreter in {wrong} of {got.size} codes: no time of it counts", file=sys.stderr)
            verdict[p.name] = (wrong, got.size, 0.0)
        elif p.name in INT8:
            want, step = exact_reference(p.name, folder)
            off = np.abs(got - want) / step
            verdict[p.name] = (int((off > 2.5).sum()), got.size, float(off.max()))
    return verdict


def measure(name, threads, a, work, known):
    folder = os.path.join(work, re.sub(r"[^a-z0-9]+", "_", name.lower()))
    if not nets.prepare(name, folder, a.shared):
        return None
    single = name in nets.LAYERS
    wanted = [p for p in OURS + F32 + INT8 if (not a.peers or p in a.peers.split(",")) and
              (not p.startswith("onednn") or single) and (p != "octavo-f32" or not single)]
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
    for p in peers:  # an object of ours whose codes are not the interpreter's has no time
        if p.name in OURS and verdict.get(p.name, (0,))[0]:
            missing[p.name] = f"DIFFERS from the interpreter in {verdict[p.name][0]} of {verdict[p.name][1]} codes"
    peers = [p for p in peers if p.name not in missing]
    us = {p.name: statistics.median(p.times) * 1e6 for p in peers}
    call = {p.name: min(p.calls) * 1e6 for p in peers}
    spread = {p.name: [float(v) * 1e6 for v in np.percentile(p.times, [10, 90])] for p in peers}
    result = {**known, "net": name, "threads": threads, "layer": single, "macs": nets.macs(os.path.join(folder, "net.onnx")), "us": us,
              "call": call, "spread": spread, "wrong": verdict, "missing": missing}
    trained = nets.samples(name, a.shared)
    if trained and name != "ad":  # ad has no classes
        result["accuracy"] = {k: prepare.accuracy(folder, a.octavo, k, *trained) for k in ("octavo-c", "octavo-own") if k in us}
    if "octavo-c" in us and not single and threads == 1:
        result["layers"] = layers_of(a.octavo, os.path.join(folder, "q.8vo"))
    return result


def layers_of(command, model):
    """What `octavo bench` says of each layer."""
    try:
        return json.loads(prepare.run(command, "bench", model, "--cflags", "-O3 -march=native", "--json"))["layers"]
    except RuntimeError as e:
        print(e, file=sys.stderr)
        return []


def machine(a):
    cpuinfo = open("/proc/cpuinfo").read()
    flags = set(re.search(r"flags\s*:\s*(.*)", cpuinfo)[1].split())
    isa = [n for n in ("avx2", "avx512bw", "avx512_vnni") if n in flags]
    versions = subprocess.run([sys.executable, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True).stdout
    versions = [v for v in versions.split() if re.match(r"(onnxruntime|ai-edge-litert|ai-edge-quantizer|openvino|nncf|ncnn|pnnx)==", v)]
    cc = subprocess.run(["cc", "--version"], capture_output=True, text=True).stdout.splitlines()[:1]
    return {"machine": f"{re.search(r'model name.*: (.*)', cpuinfo)[1]} ({', '.join(isa)}), {len(os.sched_getaffinity(0))} processors, {platform.system()}",
            "versions": versions + cc, "how": f"{a.rounds} rounds of {a.seconds} s{', octavo ' + a.options if a.options else ''}"}


def key(r):
    return r["net"], r["threads"]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("octavo", nargs="?", default="build-release/octavo")
    ap.add_argument("--shared", default="../shared")
    ap.add_argument("--nets", help="of " + ",".join(NETS) + " (default: all, and the layers)")
    ap.add_argument("--layers", action="store_true", help="the layer list only")
    ap.add_argument("--threads", default="1,2", help="layers are asked with the first of these")
    ap.add_argument("--rounds", type=int, default=11)
    ap.add_argument("--seconds", type=float, default=0.03)
    ap.add_argument("--work", default="build-peers")
    ap.add_argument("--peers", default="")
    ap.add_argument("--options", default="", help="more options for octavo compile")
    ap.add_argument("--json", help="figures (default: results.json of the work folder)")
    ap.add_argument("--resume", action="store_true", help="measure only what the file lacks")
    ap.add_argument("--no-report", action="store_true", help="measure only")
    ap.add_argument("--report", nargs="+", metavar="JSON", help="measure nothing: the report of these files, of which later ones replace figures of earlier ones")
    a = ap.parse_args()
    if a.report:
        results = {key(r): r for path in a.report for r in json.load(open(path))}
        return report.write(list(results.values()))
    a.octavo, work = os.path.abspath(a.octavo), os.path.abspath(a.work)
    path = a.json or os.path.join(work, "results.json")
    os.makedirs(work, exist_ok=True)
    results = {key(r): r for r in json.load(open(path))} if os.path.exists(path) else {}
    nets.prepare("tiny", os.path.join(work, "tiny"), a.shared)
    for p, why in prepare.everything(os.path.join(work, "tiny"), a.octavo, OURS + F32 + INT8, []).items():
        print(f"the one-element net: no {p}: {why}", file=sys.stderr)
    threads = [int(t) for t in a.threads.split(",")]
    wanted = [(n, t) for n in (a.nets.split(",") if a.nets else [] if a.layers else NETS) for t in threads]
    if a.layers or not a.nets:
        subprocess.run(["c++", "-O2", "-o", os.path.join(work, "onednn"), os.path.join(HERE, "onednn.cpp"), "-ldnnl"], check=False)
        wanted += [(n, threads[0]) for n in nets.LAYERS]
    known = machine(a)
    print(report.summary_head())
    for name, n in wanted:
        if a.resume and (name, n) in results:
            continue
        r = measure(name, n, a, work, known)
        if r is None:
            print(f"| {name} | {n} | the shared folder is not there |")
            continue
        results[key(r)] = r
        print(report.summary_row(r), flush=True)
        with open(path + ".part", "w") as f:  # so that a run that is cut off can be resumed
            json.dump(list(results.values()), f, indent=1)
        os.replace(path + ".part", path)
    if not a.no_report:
        report.write(list(results.values()))
    if any("DIFFERS" in why for name, n in wanted if (name, n) in results for why in results[name, n]["missing"].values()):
        sys.exit("octavo's codes differ from the interpreter's: see above")


main()
