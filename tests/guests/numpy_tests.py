# SPDX-License-Identifier: MIT
"""numpy_tests.py [--files OUT]: what numpy and its BLAS compute, as digests of the bytes; with --files OUT has the files that Python had for it, one a
line. numpy chooses its code by the processor's features: results of functions that are not exact are those of one processor."""
import hashlib
import os
import re
import sys

import numpy as np

rows = []


def show(name, a):
    a = np.ascontiguousarray(a)
    print(name, a.dtype.str, a.shape, hashlib.md5(a.tobytes()).hexdigest())


state = np.random.MT19937(2026)
random = np.random.Generator(state)
for dtype in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64):
    limits = np.iinfo(dtype)
    a = random.integers(limits.min, limits.max, 5003, dtype, endpoint=True)
    b = random.integers(limits.min, limits.max, 5003, dtype, endpoint=True)
    for f in (np.add, np.subtract, np.multiply, np.bitwise_and, np.bitwise_xor, np.invert, np.left_shift, np.maximum, np.minimum, np.less, np.equal,
              np.logical_and, np.absolute, np.square):
        with np.errstate(all="ignore"):
            show(f.__name__, f(a, b & dtype(7)) if f is np.left_shift else f(a, b) if f.nin == 2 else f(a))
    d = np.where(b == 0, dtype(1), b)
    with np.errstate(all="ignore"):
        show("floor_divide", a // d)
        show("by a scalar", a // dtype(7))
    show("sort", np.sort(a))
    show("argsort", np.argsort(a, kind="stable"))
    show("partition", np.sort(np.partition(a, 2500)[:2500]))
    show("sums", np.array([a.sum(dtype=np.uint64), a.max(), a.min(), a.argmax(), a.argmin(), np.count_nonzero(a & dtype(1))], np.uint64))
    show("cumsum", np.cumsum(a))
    show("take", a[np.argsort(b, kind="stable")])
    show("where", a[a > b])
    show("unique", np.unique(a & dtype(63)))
for dtype in (np.float32, np.float64):
    a = (random.random(5003) * 200 - 100).astype(dtype)
    b = (random.random(5003) * 3 + 0.01).astype(dtype)
    a[::97], a[5::101] = np.nan, np.inf
    with np.errstate(all="ignore"):
        for f in (np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.less, np.greater_equal, np.copysign, np.fmod):
            show(f.__name__, f(a, b))
        for f in (np.sqrt, np.absolute, np.negative, np.floor, np.ceil, np.trunc, np.rint, np.isnan, np.isfinite, np.signbit, np.reciprocal, np.square):
            show(f.__name__, f(a))
        # With AVX-512 these begin with VRCP14 and VRSQRT14 (Intel's short vector library in numpy), of which each processor has its own.
        rough = () if os.environ.get("APPROXIMATIONS") else (np.tan, np.arcsin, np.arccos, np.arctan, np.cbrt)
        for f in (np.exp, np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p, np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan, np.sinh,
                  np.cosh, np.tanh, np.arcsinh, np.cbrt):
            if f not in rough:
                show(f.__name__, f(a))
        for f in (np.power, np.arctan2, np.hypot):
            show(f.__name__, f(b, a))
        show("convert", np.nan_to_num(a, posinf=0).astype(np.int32))
        show("half", a.astype(np.float16))
        show("sort", np.sort(a))
        show("sum", np.array([np.nansum(a[np.isfinite(a)]), np.var(b), np.dot(b, b)]))
    m = (random.random((67, 71)) - 0.5).astype(dtype)
    n = (random.random((71, 53)) - 0.5).astype(dtype)
    show("matmul", m @ n)
    show("triangular", np.linalg.solve(m[:, :67] + np.eye(67, dtype=dtype) * 9, n[:67]))
    show("complex", (m + 1j * m) @ (n - 2j * n))
    show("fft", np.fft.fft(b[:4096]))
    show("einsum", np.einsum("ij,jk->ik", m, n))

if len(sys.argv) > 2 and sys.argv[1] == "--files":
    names = set()
    for module in list(sys.modules.values()):
        names |= {getattr(module, "__file__", None), getattr(module, "__cached__", None)}
    with open("/proc/self/maps") as maps:
        names |= {line.split()[5] for line in maps if len(line.split()) > 5}
    with open(sys.argv[2], "w") as f:
        f.writelines(n + "\n" for n in sorted(n for n in names if isinstance(n, str) and n.startswith("/usr/") and os.path.isfile(n)))
