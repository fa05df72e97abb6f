/* SPDX-License-Identifier: MIT */
/* funopen, which the BSDs and macOS have: POSIX has nothing like it. */
#include_next <stdio.h>
#ifndef HOSTS_FUNOPEN
#define HOSTS_FUNOPEN
FILE *funopen(const void *cookie, int (*read)(void *, char *, int), int (*write)(void *, const char *, int),
	      fpos_t (*seek)(void *, fpos_t, int), int (*close)(void *));
#endif
