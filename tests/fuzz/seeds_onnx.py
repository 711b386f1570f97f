"""Writes the seeds of fuzz_onnx.c: small models that between them hold every operator octavo reads, in its usual forms.
Usage: .venv/bin/python tests/fuzz/seeds_onnx.py tests/fuzz/corpus_onnx"""
import os
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
f32 = lambda name, *shape: numpy_helper.from_array(((np.arange(np.prod(shape, dtype=int)) % 7) / 4 + 0.25).astype(np.float32).reshape(shape), name)
arr = lambda name, values, dtype=np.int64: numpy_helper.from_array(np.array(values, dtype), name)
N = helper.make_node


def seed(name, nodes, init=(), shape=("N", 2, 6, 6), outputs=("y",), opset=17, dtype=TensorProto.FLOAT):
    x = helper.make_tensor_value_info("x", dtype, list(shape))
    g = helper.make_graph(nodes, "g", [x], [helper.make_empty_tensor_value_info(o) for o in outputs], initializer=list(init))
    m = helper.make_model(g, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, producer_name="")
    with open(os.path.join(folder, name + ".onnx"), "wb") as f:
        f.write(m.SerializeToString())


seed("conv", [N("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[0, 1, 1, 1], strides=[2, 1], group=2, dilations=[1, 1]),
              N("BatchNormalization", ["c", "s", "b", "b", "s"], ["n"], epsilon=1e-3), N("Relu", ["n"], ["y"])],
     [f32("w", 2, 1, 3, 3), f32("b", 2), f32("s", 2)])
seed("conv1d", [N("Conv", ["x", "w"], ["c"], auto_pad="SAME_LOWER"), N("MaxPool", ["c"], ["y"], kernel_shape=[2])], [f32("w", 3, 2, 3)], ("N", 2, 8))
seed("dense", [N("Gemm", ["x", "w", "b"], ["g"], transB=1, alpha=2.0, beta=0.5), N("MatMul", ["g", "v"], ["m"]), N("Add", ["m", "one"], ["y"])],
     [f32("w", 3, 4), f32("b", 3), f32("v", 3, 2), f32("one", 1)], ("N", 4))
seed("pools", [N("AveragePool", ["x"], ["a"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, count_include_pad=1, pads=[1, 0, 0, 1]),
               N("GlobalMaxPool", ["a"], ["y"]), N("GlobalAveragePool", ["a"], ["z"]), N("ReduceMean", ["a"], ["r"], axes=[2, -1], keepdims=0)],
     outputs=("y", "z", "r"))
acts = [N("Sigmoid", ["x"], ["a"]), N("Tanh", ["a"], ["b"]), N("HardSwish", ["b"], ["c"]), N("HardSigmoid", ["c"], ["d"], alpha=0.1), N("Exp", ["d"], ["e"]),
        N("Sqrt", ["e"], ["f"]), N("Clip", ["f", "lo", "hi"], ["g"]), N("LeakyRelu", ["g"], ["h"], alpha=0.1), N("Softmax", ["h"], ["i"], axis=1),
        N("Div", ["i", "hi"], ["j"]), N("Sub", ["j", "lo"], ["k"]), N("Mul", ["k", "x"], ["y"])]
seed("elements", acts, [arr("lo", 0, np.float32), arr("hi", 6, np.float32)], ("N", 3))
seed("moves", [N("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]), N("Slice", ["t", "b", "e", "ax", "st"], ["s"]), N("Split", ["s", "parts"], ["p", "q"], axis=3),
               N("Concat", ["p", "q"], ["c"], axis=1), N("Pad", ["c", "pads"], ["d"]), N("Squeeze", ["d", "three"], ["f"]), N("Unsqueeze", ["f", "three"], ["u"]),
               N("Flatten", ["u"], ["y"]), N("Identity", ["y"], ["z"]), N("Dropout", ["z"], ["o"])],
     [arr("b", [-1, 0]), arr("e", [-(2**62), 2**62]), arr("ax", [1, 2]), arr("st", [-1, 2]), arr("parts", [1, 1]), arr("pads", [0, 1, 0, 0, 0, 0, 2, 0]), arr("three", [3])],
     outputs=("y", "o"))
seed("shapes", [N("Shape", ["x"], ["s"]), N("Gather", ["s", "zero"], ["g"], axis=0), N("Unsqueeze", ["g", "first"], ["u"]), N("Constant", [], ["rest"], value_ints=[-1]),
                N("Concat", ["u", "rest"], ["t"], axis=0), N("Cast", ["t"], ["i"], to=TensorProto.INT64), N("Reshape", ["x", "i"], ["y"])],
     [arr("zero", 0), arr("first", [0])])
seed("arithmetic", [N("ConstantOfShape", ["four"], ["c"], value=arr("v", [2])), N("Range", ["i0", "i4", "i1"], ["r"]), N("Add", ["c", "r"], ["a"]), N("Mul", ["a", "c"], ["m"]),
                    N("Div", ["m", "c"], ["d"]), N("Sub", ["d", "a"], ["e"]), N("Cast", ["e"], ["f"], to=1), N("Floor", ["f"], ["fl"]), N("Ceil", ["fl"], ["ce"]),
                    N("Transpose", ["ce"], ["tr"]), N("Squeeze", ["i1v"], ["sq"]), N("Add", ["x", "tr"], ["y"])],
     [arr("four", [4]), arr("i0", 0), arr("i4", 4), arr("i1", 1), arr("i1v", [1])], ("N", 4))
q = dict(s=arr("s", 0.5, np.float32), z=arr("z", -3, np.int8), ws=arr("ws", [0.5, 0.25], np.float32), w=arr("w", [[1, 2, 3], [4, 5, 6]], np.int8), b=arr("b", [7, 8], np.int32))
seed("quantized", [N("QuantizeLinear", ["x", "s", "z"], ["q"]), N("DequantizeLinear", ["q", "s", "z"], ["d"]), N("DequantizeLinear", ["w", "ws"], ["wd"], axis=0),
                   N("DequantizeLinear", ["b", "ws"], ["bd"], axis=0), N("Gemm", ["d", "wd", "bd"], ["g"], transB=1), N("QuantizeLinear", ["g", "s", "z"], ["y"])], q.values(), ("N", 3))
seed("int8_input", [N("QuantizeLinear", ["wf", "ws", "wz"], ["wq"], axis=1), N("DequantizeLinear", ["wq", "ws", "wz"], ["fq"], axis=1), N("Reshape", ["x", "t"], ["r"]),
                    N("DequantizeLinear", ["r", "s", "z"], ["d"]), N("MatMul", ["d", "fq"], ["y"])],
     [q["s"], q["z"], q["ws"], arr("wz", [0, 1], np.int8), arr("t", [-1, 3]), f32("wf", 3, 2)], ("N", 3, 1), dtype=TensorProto.INT8)
halves = numpy_helper.from_array(np.array([1.5, -2, 0.5], np.float16), "h")
typed = helper.make_tensor("d", TensorProto.DOUBLE, [3], [1.0, 2.0, 3.0])
bf = helper.make_tensor("bf", TensorProto.BFLOAT16, [3], [1.0, 2.0, 3.0])
seed("types", [N("Add", ["x", "h"], ["a"]), N("Add", ["a", "d"], ["b"]), N("Add", ["b", "bf"], ["y"])], [halves, typed, bf], ("N", 3), opset=22)
branch = helper.make_graph([N("Relu", ["x"], ["z"])], "b", [], [helper.make_empty_tensor_value_info("z")])
seed("subgraph", [N("If", ["x"], ["y"], then_branch=branch, else_branch=branch)], shape=(1,))
u8 = lambda name, v: arr(name, v, np.uint8)
seed("qlinear", [N("QuantizeLinear", ["x", "s", "z"], ["q"]),
                 N("QLinearConv", ["q", "s", "z", "w", "ws", "wz", "s", "z", "b"], ["c"], pads=[1, 1, 1, 1]),
                 N("QLinearAdd", ["c", "s", "z", "q", "s", "z", "s", "z"], ["a"], domain="com.microsoft"),
                 N("QLinearGlobalAveragePool", ["a", "s", "z", "s", "z"], ["g"], domain="com.microsoft", channels_last=0),
                 N("QLinearConcat", ["s", "z", "g", "s", "z", "g", "s", "z"], ["j"], domain="com.microsoft", axis=1), N("Flatten", ["j"], ["f"]),
                 N("QGemm", ["f", "s", "z", "v", "s", "wz0", "b", "s", "z"], ["m"], domain="com.microsoft", transB=1, alpha=1.0),
                 N("QLinearSoftmax", ["m", "s", "z", "s", "z"], ["p"], domain="com.microsoft", axis=1, opset=17), N("DequantizeLinear", ["p", "s", "z"], ["y"])],
     [arr("s", 0.5, np.float32), u8("z", 3), arr("w", (np.arange(36) - 18).reshape(2, 2, 3, 3), np.int8), arr("ws", [0.1, 0.2], np.float32), arr("wz", [0, 0], np.int8),
      arr("wz0", 0, np.int8), arr("b", [1, -2], np.int32), arr("v", (np.arange(8) - 4).reshape(2, 4), np.int8)])
# Quantized graphs that do not hold together: each is refused, and its neighbours should be too.
hostile = {"scale_zero": ([0.0], [0], 1), "scale_nan": ([float("nan")], [0], 1), "lengths": ([0.5, 0.25], [0], 1), "channels": ([0.5, 0.25], [0, 1], 1), "axis": ([0.5, 0.25, 1], [0, 1, 2], 9)}
for name, (scale, zero, axis) in hostile.items():
    seed("hostile_" + name, [N("QuantizeLinear", ["x", "s", "z"], ["q"], axis=axis), N("DequantizeLinear", ["q", "s", "z"], ["d"], axis=axis),
                             N("DequantizeLinear", ["w", "s", "z"], ["wd"], axis=axis, block_size=0), N("MatMul", ["d", "wd"], ["y"])],
         [arr("s", scale, np.float32), arr("z", zero, np.int8), arr("w", [[1, 2], [3, 4], [5, 6]], np.int8)], ("N", 3), opset=21)
seed("nibbles", [N("DequantizeLinear", ["w", "s"], ["wd"], axis=1), N("MatMul", ["x", "wd"], ["y"])],
     [helper.make_tensor("w", TensorProto.INT4, [3, 2], [1, -8, 7, 0, -1, 3]), arr("s", [0.5, 0.25], np.float32)], ("N", 3), opset=21)
one = lambda op, **a: N(op, ["x"], [op], **a)
two = lambda op, **a: N(op, ["x", "k"], [op], **a)
alone = [one(o) for o in "Abs Sign Round Reciprocal Log Erf Softplus Neg Selu Softsign Shrink Mish Cosh Sinh Floor Ceil Not IsNaN".split()]
alone += [one("Elu", alpha=2.0), one("Celu", alpha=0.5), one("ThresholdedRelu", alpha=0.1), one("LogSoftmax", axis=2), one("IsInf", detect_negative=0), one("DepthToSpace", blocksize=2, mode="CRD"),
          one("SpaceToDepth", blocksize=3), one("Gelu", approximate="tanh")]
alone += [two(o) for o in "Pow PRelu Max Min Sum Mean And Or Xor Equal Less GreaterOrEqual CastLike".split()] + [N("Where", ["x", "k", "x"], ["Where"])]
alone += [one("Reduce" + o, axes=[1, 3], keepdims=0) for o in "Max Min Prod L1 L2 SumSquare LogSum LogSumExp".split()] + [N("ReduceSum", ["x", "axes"], ["ReduceSum"])]
seed("compositions", alone, [arr("k", 2, np.float32), arr("axes", [-1])], ("N", 4, 6, 6), [n.output[0] for n in alone])
