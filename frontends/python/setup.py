# SPDX-License-Identifier: MIT
from setuptools import setup

setup(cffi_modules=["build_vcpu.py:make_builder"])
