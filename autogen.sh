#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes ./configure from configure.ac. Needs autoconf, automake, libtool and pkg-config.
cd "$(dirname "$0")" && mkdir -p build-aux m4 && exec autoreconf --force --install
