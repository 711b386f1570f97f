#!/usr/bin/env python3
"""The starting line: portable C of each shared float model's own int8 quantization against ONNX Runtime's float run, one thread, one
machine, interleaved. Also the compiler's own time and peak memory, and arena bytes beside their lower bound.

    .venv/bin/python bench/spine.py build-release/octavo [../shared]        prints a Markdown table

Medians of ROUNDS rounds, each of at least 30 ms a side, the order swapped each round. Output codes are compared with the
interpreter in the same run. Needs onnxruntime (scripts/setup.sh --oracles)."""
import ctypes, json, os, platform, re, statistics, subprocess, sys, tempfile, time
import numpy as np
import onnxruntime as ort

octavo, shared = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else "../shared")
ROUNDS = 11
NETS = {"ad_autoencoder": "ad", "kws_dscnn": "kws", "ic_resnet8": "ic", "vww_mobilenetv1_025_96": "vww", "sww_streaming": "sww", "resnet20_cifar10": "resnet20"}


# A process of its own starts the command, because a child's peak memory starts at what its parent occupied.
MEASURE = """import os, sys, time
start = time.time()
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(time.time() - start, usage.ru_maxrss * 1024, os.waitstatus_to_exitcode(status), file=sys.stderr)"""


def child(args):
    """Wall seconds and peak resident bytes of a command."""
    p = subprocess.run([sys.executable, "-I", "-S", "-c", MEASURE, *args], capture_output=True, text=True)
    seconds, peak, code = p.stderr.splitlines()[-1].split()
    if code != "0":
        sys.exit(f"{' '.join(args)} exits {code}: {p.stderr}")
    return float(seconds), int(peak)


def timed(f, seconds=0.03):
    n, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        f()
        n += 1
    return (time.perf_counter() - start) / n


def pointer(a):
    return ctypes.c_void_p(a.ctypes.data)


def load(prefix, arena_bytes):
    """The compiled network as two Python functions: quantize(float input, codes), run(codes, output codes)."""
    subprocess.run(["cc", "-O3", "-march=native", "-shared", "-fPIC", "-o", prefix + ".so", prefix + ".c"], check=True)
    lib, header = ctypes.CDLL(prefix + ".so"), open(prefix + ".h").read()
    run = getattr(lib, re.search(r"int (\w+_run)\(", header).group(1))
    quantize = getattr(lib, re.search(r"void (\w+_quantize_\w+)\(", header).group(1))
    arena = np.zeros(arena_bytes + 64, np.uint8)
    base = ctypes.c_void_p((arena.ctypes.data + 63) // 64 * 64)
    return (lambda x, codes: quantize(pointer(x), pointer(codes))), (lambda codes, y: (run(pointer(codes), pointer(y), base), arena)[0])


def cpu():
    return re.search(r"model name\s*:\s*(.*)", open("/proc/cpuinfo").read()).group(1)


def calibration(tmp):
    """ResNet-20 on its 500 calibration images: octavo's whole quantize against ONNX Runtime's float run, two threads each, in turn."""
    onnx, cal = f"{shared}/models/resnet20_cifar10.onnx", f"{shared}/data/resnet20_cal_f32.npy"
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    session, x = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"]), np.load(cal)
    ours, theirs = [], []
    for _ in range(5):
        ours.append(child([octavo, "quantize", onnx, "--data", cal, "--threads", "2", "-o", f"{tmp}/r.8vo"])[0])
        start = time.time()
        for i in range(len(x)):
            session.run(None, {session.get_inputs()[0].name: x[i:i + 1]})
        theirs.append(time.time() - start)
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"\nquantize ResNet-20 on {len(x)} images, 2 threads: {a:.2f} s; ONNX Runtime's float run over them: {b:.2f} s; ratio {a / b:.2f}")


def main():
    cc = subprocess.run(["cc", "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    print(f"{cpu()}, {platform.system()}; ONNX Runtime {ort.__version__}; {cc} -O3 -march=native\n")
    print("| net | octavo C us | ORT float us | ratio | arena | lower bound | quantize+compile s | peak MB (limit) |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as tmp:
        for net, short in NETS.items():
            onnx = f"{shared}/models/{net}.onnx"
            cal, test = (f"{shared}/data/{short}_{kind}_f32.npy" for kind in ("cal", "test"))
            if not os.path.exists(test):
                test = test.replace("_test_", "_test1000_")
            prefix, q = f"{tmp}/{short}", f"{tmp}/{short}_q.8vo"
            w1, m1 = child([octavo, "quantize", onnx, "--data", cal, "-o", q])
            w2, m2 = child([octavo, "compile", q, "-o", prefix, "--weights", "inline"])
            report = json.load(open(prefix + ".json"))
            quantize, run = load(prefix, report["arena_bytes"])
            x = np.load(test)[:8].astype(np.float32)
            subprocess.run([octavo, "run", q, "--input", test, "-o", f"{tmp}/y.npy"], check=True)
            expect = np.load(f"{tmp}/y.npy")[:8]
            codes, y = np.zeros(x[0].size, np.int8), np.zeros(expect[0].size, np.int8)
            for i in range(len(expect)):
                quantize(np.ascontiguousarray(x[i]), codes)
                if run(codes, y) != 0 or not np.array_equal(y.reshape(expect[i].shape), expect[i]):
                    sys.exit(f"{net}: output {i} differs from the interpreter")
            options = ort.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
            feed = {session.get_inputs()[0].name: x[:1]}
            sides = [lambda: run(codes, y), lambda: session.run(None, feed)]
            times = ([], [])
            for f in sides:
                timed(f)
            for r in range(ROUNDS):
                for s in (0, 1) if r % 2 else (1, 0):
                    times[s].append(timed(sides[s]))
            ours, theirs = (1e6 * statistics.median(t) for t in times)
            limit = 40 + 10 * os.path.getsize(onnx) / 1e6
            print(f"| {short} | {ours:.1f} | {theirs:.1f} | {ours / theirs:.2f} | {report['arena_bytes']} | {report['arena_lower_bound']} | "
                  f"{w1:.2f} + {w2:.2f} | {max(m1, m2) / 1e6:.0f} ({limit:.0f}) |", flush=True)
        calibration(tmp)


main()
