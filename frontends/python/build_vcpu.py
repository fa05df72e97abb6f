# SPDX-License-Identifier: MIT
"""Build the extension module vcpu._vcpu with cffi. Its declarations are those of libvcpu's headers, as the C compiler's
preprocessor leaves them. The functions of the callbacks are declared at the end of this file.

    python3 build_vcpu.py [DIRECTORY]    writes DIRECTORY/vcpu/_vcpu.*.so [the folder of this file]

pkg-config finds the library. VCPU_INCLUDE (the folder of vcpu.h) and VCPU_LIBRARY (the folder of libvcpu.so) are for a
library that is not installed."""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

import cffi

HEADERS = "vcpu.h", "vcpu_replay.h", "vcpu_snapshot.h", "vcpu_debug.h", "vcpu_hook.h", "vcpu_dump.h"
HERE = pathlib.Path(__file__).resolve().parent


def pkg_config(option):
    done = subprocess.run(["pkg-config", option, "libvcpu"], capture_output=True, text=True)
    if done.returncode:
        sys.exit("build_vcpu: pkg-config does not find libvcpu: install it, or set VCPU_INCLUDE and VCPU_LIBRARY")
    return shlex.split(done.stdout)


def folders():
    include, library = os.environ.get("VCPU_INCLUDE"), os.environ.get("VCPU_LIBRARY")
    includes = [include] if include else [f[2:] for f in pkg_config("--cflags-only-I")]
    libraries = [library] if library else [f[2:] for f in pkg_config("--libs-only-L")]
    return includes, libraries


def declarations(includes):
    """The headers without comments, attributes and the system's headers; and the names of their constants."""
    path = [pathlib.Path(f) for f in [*includes, "/usr/include", "/usr/local/include"]]
    header = next((f for f in path if (f / HEADERS[0]).exists()), None)
    if header is None:
        sys.exit(f"build_vcpu: there is no {HEADERS[0]} in " + ", ".join(map(str, path)))
    with tempfile.TemporaryDirectory() as empty:
        for name in "stdbool.h", "stddef.h", "stdint.h":
            (pathlib.Path(empty) / name).touch()
        text = subprocess.run(
            [*shlex.split(os.environ.get("CC", "cc")), "-E", "-P", "-U__GNUC__", "-nostdinc", f"-I{empty}", f"-I{header}", "-x", "c", "-"],
            input="".join(f"#include <{h}>\n" for h in HEADERS), capture_output=True, text=True, check=True).stdout
    names = [n for h in HEADERS for n in re.findall(r"^#define (VCPU_\w+) \S", (header / h).read_text(), re.M)]
    return text + "".join(f"#define {n} ...\n" for n in names if n != "VCPU_API")


# What the library calls; vcpu/_library.py has the functions.
CALLBACKS = """
extern "Python" {
    void vcpu_python_output(void *, enum vcpu_channel, const void *, size_t);
    uint64_t vcpu_python_read(void *, uint64_t, unsigned);
    void vcpu_python_write(void *, uint64_t, unsigned, uint64_t);
    void vcpu_python_save(void *, void *);
    bool vcpu_python_restore(void *, const void *);
    bool vcpu_python_append(void *, const void *, size_t);
    void vcpu_python_part(void *, const char *, uint64_t);
    bool vcpu_python_condition(void *, const struct vcpu_debug_stop *);
    void vcpu_python_event(void *, const struct vcpu_debug_event *);
    void vcpu_python_block(void *, uint64_t, unsigned);
    enum vcpu_hook_answer vcpu_python_hook(void *, struct vcpu_hook_event *);
    void vcpu_python_field(void *, const char *, const char *, unsigned, uint64_t);
    void vcpu_python_translation(void *, const struct vcpu_debug_translation *);
    void vcpu_python_vm_field(void *, const char *, uint32_t, uint64_t);
    bool vcpu_python_progress(void *);
}
void free(void *);
"""


def make_builder():
    includes, libraries = folders()
    builder = cffi.FFI()
    builder.cdef(declarations(includes) + CALLBACKS)
    builder.set_source("vcpu._vcpu", "".join(f"#include <{h}>\n" for h in HEADERS) + "#include <stdlib.h>\n", libraries=["vcpu"],
                       include_dirs=includes, library_dirs=libraries)
    return builder


if __name__ == "__main__":
    make_builder().compile(tmpdir=sys.argv[1] if len(sys.argv) > 1 else HERE, verbose=False)
