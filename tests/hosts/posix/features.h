/* SPDX-License-Identifier: MIT */
/* Before glibc's: its headers declare what POSIX.1-2008 has with XSI, whatever the source asks for. */
#undef _GNU_SOURCE
#undef _DEFAULT_SOURCE
#undef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#include_next <features.h>
