#!/usr/bin/env python3
"""embed.py OCTAVO MODEL CAL.npy TEST.npy COUNT FOLDER: quantizes MODEL on CAL and puts into FOLDER what a program without files
needs to try it: q.8vo, the first COUNT samples of TEST as floats (inputs.bin), the codes that the reference interpreter gives for
them (codes.bin), and how many there are (samples.h). For networks with one input and one int8 output; Python's own library only."""
import array, ast, math, os, struct, subprocess, sys

TYPES = {"<f4": "f", "<f8": "d", "|u1": "B", "|i1": "b", "<i8": "q"}


def read_npy(path):
    """Shape and values of a version 1 npy file in C order."""
    with open(path, "rb") as f:
        head = f.read(10)
        if head[:7] != b"\x93NUMPY\x01":
            sys.exit(f"{path}: no npy file of version 1")
        kind = ast.literal_eval(f.read(struct.unpack("<H", head[8:])[0]).decode("ascii"))
        if kind["descr"] not in TYPES or kind["fortran_order"]:
            sys.exit(f"{path}: elements of type {kind['descr']}, or Fortran order")
        values = array.array(TYPES[kind["descr"]])
        values.frombytes(f.read(values.itemsize * math.prod(kind["shape"])))
        return kind["shape"], values


def write_npy(path, shape, floats):
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + floats.tobytes())


octavo, model, cal, test, count, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)
shape, values = read_npy(test)
n = min(int(count), shape[0])
inputs = math.prod(shape[1:])
floats = array.array("f", values[:n * inputs])
here = lambda name: os.path.join(folder, name)
write_npy(here("x.npy"), (n, *shape[1:]), floats)
for args in ["quantize", model, "--data", cal, "-o", here("q.8vo")], ["run", here("q.8vo"), "--input", here("x.npy"), "-o", here("y.npy")]:
    if subprocess.run([octavo, *args]).returncode:
        sys.exit(f"octavo {args[0]} failed")
shape, codes = read_npy(here("y.npy"))
if codes.typecode != "b":
    sys.exit("the network's output is not int8")
for name, data in ("inputs.bin", floats), ("codes.bin", codes):
    with open(here(name), "wb") as f:
        f.write(data.tobytes())
with open(here("samples.h"), "w") as f:
    f.write(f"enum {{ SAMPLES = {n}, INPUTS = {inputs}, OUTPUTS = {len(codes) // n} }};\n")
