/* SPDX-License-Identifier: MIT */
/* A process outside of the sandbox. It removes sockets after the end of the program, and creates files whose names
 * are fixed but for a number. It accepts no further names after helper_seal. */
#ifndef COMMON_HELPER_H
#define COMMON_HELPER_H

#include <stdbool.h>
#include <stdint.h>

/* Remove the socket PATH at the end. Before there are threads. */
void helper_remove(const char *path);
/* Allow helper_create to make BEFORE NUMBER AFTER in the directory where the program was started; FRESH: only if there
 * is none. Before there are threads. */
void helper_names(const char *before, const char *after, bool fresh);
void helper_seal(void);
/* A descriptor for writing, or -1 with errno. */
int helper_create(uint64_t number);
/* Remove the sockets now. */
void helper_end(void);

#endif
