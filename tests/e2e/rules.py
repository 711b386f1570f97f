#!/usr/bin/env python3
"""Every word of every quantization rule, on the example: the rule does what it says to the ops that it names, the model stays
accurate, interpreter and compiled C give the same codes, and a dump carries the rule on. Rules come as JSON and as text."""
import os, re, shutil, struct
from common import *

here = os.path.join(source, "examples", "digits")
d = folder("rules")
for f in ("digits.8vo", "digits.safetensors", "digits_cal.npy", "digits_labels.npy"):
    shutil.copy(os.path.join(here, f), d)
path = lambda name: os.path.join(d, name)
t = Tally()

# The test images as real values: u8 pixels would be codes to a u8 input.
raw = read(os.path.join(here, "digits_test.npy"))
start = 10 + struct.unpack("<H", raw[8:10])[0]
header = raw[10:start].decode().replace("|u1", "<f4")
pixels = raw[start:]
header = header.rstrip() + " " * ((-10 - len(header.rstrip()) - 1) % 64) + "\n"
with open(path("test.npy"), "wb") as f:
    f.write(raw[:8] + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(pixels)}f", *pixels))


def values(file):
    """name -> (element type, op) of the values of a dump."""
    found = re.findall(r"^([\w.]+) : (\w+)\[[^\]]*\][^\n=]*(?:=[^\n=]*?)*?= (\w+)\(", open(file).read(), re.M)
    return {name: (dtype, op) for name, dtype, op in found}


def quantize(name, config, *more):
    """Quantizes digits under a JSON config; returns path and values after the whole pipeline."""
    with open(path("c.json"), "w") as f:
        json.dump(config, f)
    run("quantize", path("digits.8vo"), "--data", path("digits_cal.npy"), "--config", path("c.json"), *more, "-o", path("q.8vo"))
    return path("q.8vo"), values(path("q.8vo"))


def same_bits(q, name):
    run("run", q, "--input", path("test.npy"), "-o", path("a.npy"))
    run("run", q, "--input", path("test.npy"), "-o", path("b.npy"), "--engine", "c", "--strict-float", "--cflags", "-O1")
    t.check(read(path("a.npy")) == read(path("b.npy")), f"{name}: interpreter and C agree")


def accurate(q, name, least=0.975):
    top1 = run_json("eval", q, "--data", path("test.npy"), "--labels", path("digits_labels.npy"))["top1"]
    t.check(top1 >= least, f"{name}: top-1 {top1} is at least {least}")


def fields():
    """field -> words, from qconfig.def: a word that is added is tested at once."""
    rows = re.findall(r'^QRULE\((\w+), "([^"]+)"', open(os.path.join(source, "ir", "qconfig.def")).read(), re.M)
    return {field: words.split() for field, words in rows}


# Widths and sizes; a size says nothing without its granularity. Two bits cost more than all else does.
NUMBERS = {"act_bits": [None, 2, 12], "weight_bits": [None, 2, 7], "group_size": [None, 2]}
WITH = {"group_size": {"granularity": "group"}, "act_bits=12": {"act": "i16"}, "weight_range": {"weight_scheme": "asym"}}
COARSE = {"act_bits=2": 0.3, "weight_bits=2": 0.25, "bias=none": 0.4}


# ---- each word as the default for all ops
plain, _ = quantize("plain", {})
baseline = read(plain)
for field, words in {**fields(), **NUMBERS}.items():
    for k, word in enumerate(words):
        name = f"{field}={word}"
        if k == 0 and field != "act":
            continue  # the default, which is the same model for all fields
        q, v = quantize(name, {"default": {**WITH.get(field, {}), **WITH.get(name, {}), field: word}})
        t.check(k == 0 or read(q) != baseline, f"{name} changes something")
        accurate(q, name, COARSE.get(name, 0.975))
        same_bits(q, name)
        if field == "act":
            made = {dtype for dtype, op in v.values() if op in ("conv2d", "dense", "add", "mean", "max_pool2d")}
            t.check(made == {{"float": "f32", "dynamic": "f32"}.get(word, word)}, f"{name}: ops give {made}")
        if name in ("weight_scheme=pot", "act_scheme=pot", "granularity=tensor"):
            text = open(q).read()
            if name == "granularity=tensor":
                t.check("scale[0]" not in text, f"{name}: no scale per channel is left")
            if name == "act_scheme=pot":
                scales = [float(s) for s in re.findall(r"^\w+ : i8\[[^\]]*\] scale=([^ ]+)", text, re.M)]
                odd = [s for s in scales if struct.pack(">f", s)[1] & 0x7f or struct.pack(">f", s)[2:] != b"\0\0"]
                t.check(scales and not [s for s in odd if s != 0.00390625], f"{name}: scales are powers of two: {odd}")

# ---- one op, by kind and by name: only those change
kinds = {"conv2d": ("r1", "r2", "r3", "r4", "n5"), "dense": ("logits",), "add": ("r5",), "mean": ("pooled",), "max_pool2d": ("p1",), "softmax": ("probs",)}
base = values(plain)
for op, names in kinds.items():
    for word in fields()["act"]:
        q, v = quantize(f"{op} {word}", {"rules": [{"op": op, "act": word}]})
        name = f"op={op} act={word}"
        accurate(q, name)
        same_bits(q, name)
        if word == "float":
            t.check(all(v[n] == ("f32", op) for n in names), f"{name}: {[v.get(n) for n in names]}")
            others = [n for n in base if n in v and base[n][1] != op and v[n][0] == "f32"]
            t.check(not others, f"{name}: these became float too: {others}")
for word in ("u8", "i16", "float"):
    q, v = quantize(word, {"rules": [{"name": "r2", "act": word}]})
    t.check(v["r2"][0] == {"float": "f32"}.get(word, word) and v["r3"][0] == "i8", f"name=r2 act={word}: {v['r2']}, {v['r3']}")
    same_bits(q, f"name=r2 act={word}")
q, v = quantize("weights", {"rules": [{"name": "logits", "weight": "float"}]})
t.check(v["logits"] == ("f32", "dense") and v["pooled"][0] == "i8", "name=logits weight=float")
same_bits(q, "name=logits weight=float")

# ---- the same rules as text; the last one that matches wins; dumps carry them
config = {"default": {"act_observer": "minmax"}, "rules": [{"op": "conv2d", "act": "float"}, {"name": "r?", "act": "i8"}]}
q, v = quantize("text", config)
t.check(v["n5"][0] == "f32" and v["r4"][0] == "i8", "the last rule that matches wins")
lines = open(path("digits.8vo")).read().split("\n")
lines.insert(2, 'rule any act_observer=minmax\nrule op=conv2d act=float\nrule name="r?" act=i8')
with open(path("text.8vo"), "w") as f:
    f.write("\n".join(lines))
run("quantize", path("text.8vo"), "--data", path("digits_cal.npy"), "-o", path("t.8vo"))
t.check(read(path("t.8vo")).replace(b"t.safetensors", b"q.safetensors") == read(q), "rules as text and as JSON give the same model")
shutil.rmtree(path("dumps"), ignore_errors=True)
run("opt", path("text.8vo"), "--data", path("digits_cal.npy"), "--dump-after", "insert_observers", "--dump-dir", path("dumps"), "-o", path("one.8vo"))
dump = os.path.join(path("dumps"), os.listdir(path("dumps"))[0])
dump = [os.path.join(path("dumps"), f) for f in os.listdir(path("dumps")) if f.endswith(".8vo")][0]
run("quantize", dump, "--data", path("digits_cal.npy"), "-o", path("t.8vo"))
t.check(read(path("t.8vo")).replace(b"t.safetensors", b"q.safetensors") == read(q), "a dump before calibrate carries the rules")

# ---- misuse
for bad in ({"default": {"act": "i7"}}, {"default": {"ack": "i8"}}, {"rules": [{"op": "conv3d", "act": "i8"}]}, {"rules": {}}, [], {"default": {"act": 8}}):
    with open(path("c.json"), "w") as f:
        json.dump(bad, f)
    run("quantize", path("digits.8vo"), "--data", path("digits_cal.npy"), "--config", path("c.json"), "-o", path("bad.8vo"), expect=65)
    t.check(not os.path.exists(path("bad.8vo")), f"{bad} is refused")
t.close()
