# SPDX-License-Identifier: MIT
"""python_tests.py [--files OUT] NAME...: Python's own tests, test.test_NAME. Their names and how they ended, in words that are always the same; with
--files OUT has the files that Python wanted for it, one a line."""
import os
import re
import sys

opened = set()
if sys.argv[1] == "--files":
    out = sys.argv[2]
    del sys.argv[1:3]
    sys.addaudithook(lambda event, args: opened.add(args[event == "import"]) if event in ("open", "import") else None)
import io
import unittest
from test import support

support.use_resources = []
text = io.StringIO()
unittest.TextTestRunner(text, verbosity=2).run(unittest.defaultTestLoader.loadTestsFromNames(["test.test_" + name for name in sys.argv[1:]]))
print(re.sub(r" in \d+\.\d+s", "", text.getvalue()))
if opened:
    for module in list(sys.modules.values()):
        opened.add(getattr(module, "__file__", None))
        opened.add(getattr(module, "__cached__", None))
    # What is compiled counts only beside its source.
    opened |= {re.sub(r"__pycache__/(.*)\.cpython-.*", r"\1.py", name) for name in opened if isinstance(name, str)}
    with open(out, "w") as f:
        f.writelines(name + "\n" for name in sorted(n for n in opened if isinstance(n, str) and n.startswith("/usr/") and os.path.isfile(n)))
