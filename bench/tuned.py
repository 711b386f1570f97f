#!/usr/bin/env python3
"""How near the untuned default is to what the tuner finds: python bench/tuned.py build-release/octavo SHARED [--nets ic,kws] [--keep FOLDER]

Each net is compiled twice to an object, as costs say and with a fresh file of --tune, and both take turns in this process, pinned. The
time of a net is the least of the rounds' medians; the layers' times are the tuner's own. Needs numpy, onnx, onnxruntime."""
import argparse, ctypes, json, os, re, shutil, subprocess, sys, tempfile, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers"))
import nets

NETS = ["ad", "kws", "ic", "vww", "resnet20", "mobilenetv1", "resnet18"]
ROUNDS = 15


def octavo(command, *args):
    p = subprocess.run([command, *args], capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"{' '.join(args)}: {p.stderr}")
    return p.stderr


def load(folder, name):
    so = os.path.join(folder, name + ".so")
    subprocess.run(["cc", "-shared", "-o", so, os.path.join(folder, name + ".o")], check=True)
    run = getattr(ctypes.CDLL(so), name + "_run")
    report = json.load(open(os.path.join(folder, name + ".json")))
    room = [ctypes.create_string_buffer(n + 64) for n in (4 << 20, 4 << 20, report["arena_bytes"])]
    args = [ctypes.c_void_p((ctypes.addressof(b) + 63) // 64 * 64) for b in room]
    return lambda keep=room: run(*args)


def rounds(runs, seconds):
    """Medians of rounds in turns; the least for each."""
    best = [float("inf")] * len(runs)
    for r in range(ROUNDS):
        for i in (range(len(runs)) if r % 2 else reversed(range(len(runs)))):
            times, end = [], time.perf_counter() + seconds
            while len(times) < 3 or time.perf_counter() < end:
                start = time.perf_counter()
                runs[i]()
                times.append(time.perf_counter() - start)
            best[i] = min(best[i], sorted(times)[len(times) // 2])
    return [1e6 * b for b in best]


def measure(command, folder, name, shared):
    of = lambda f: os.path.join(folder, f)
    if not os.path.exists(of("q.8vo")):
        if not nets.prepare(name, folder, shared):
            return None
        octavo(command, "quantize", of("net.onnx"), "--data", of("cal.npy"), "--engine", "jit", "-o", of("q.8vo"))
    if os.path.exists(of("net.tuned")):
        os.remove(of("net.tuned"))
    start = time.perf_counter()
    talk = octavo(command, "compile", of("q.8vo"), "--emit", "obj", "--tune", of("net.tuned"), "--explain", "-o", of("tuned"))
    spent = time.perf_counter() - start
    octavo(command, "compile", of("q.8vo"), "--emit", "obj", "-o", of("plain"))
    pairs = [(float(a), float(b)) for a, b in re.findall(r": tuned: [^,]+, ([\d.]+) us; as costs say: [^,]+, ([\d.]+) us", talk)]
    plain, tuned = rounds([load(folder, "plain"), load(folder, "tuned")], 0.04)
    worst = max((b / a for a, b in pairs if b > 1), default=1)
    return plain, tuned, len(pairs), sum(b for a, b in pairs) / sum(a for a, b in pairs), worst, spent


def main():
    p = argparse.ArgumentParser()
    p.add_argument("octavo")
    p.add_argument("shared")
    p.add_argument("--nets", default=",".join(NETS))
    p.add_argument("--keep", help="a folder whose quantized models are taken if they are there")
    o = p.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    top = o.keep or tempfile.mkdtemp()
    print("| net | untuned, us | tuned, us | untuned / tuned | shapes timed | sum of their times, untuned / tuned | worst layer of 1 us and more | seconds that --tune took |")
    print("|---|---|---|---|---|---|---|---|")
    for name in o.nets.split(","):
        m = measure(os.path.abspath(o.octavo), os.path.join(top, name), name, o.shared)
        if m:
            print(f"| {name} | {m[0]:.1f} | {m[1]:.1f} | {m[0] / m[1]:.3f} | {m[2]} | {m[3]:.3f} | {m[4]:.2f} | {m[5]:.1f} |", flush=True)
    if not o.keep:
        shutil.rmtree(top)


if __name__ == "__main__":
    main()
