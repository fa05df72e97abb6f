/* A process that stays outside of the sandbox for the little that must be done there later: it removes sockets when the program has ended, however it
 * ends, and makes files whose names are known but for a number. All that it may do it is told before helper_seal. */
#ifndef COMMON_HELPER_H
#define COMMON_HELPER_H

#include <stdbool.h>
#include <stdint.h>

/* Remove the socket PATH at the end. Before there are threads. */
void helper_remove(const char *path);
/* Allow helper_create to make BEFORE NUMBER AFTER in the directory where the program was started; FRESH: only if there is none. Before there are threads. */
void helper_names(const char *before, const char *after, bool fresh);
void helper_seal(void);
/* A descriptor for writing, or -1 with errno. */
int helper_create(uint64_t number);
/* Remove the sockets now. */
void helper_end(void);

#endif
