/* SPDX-License-Identifier: MIT */
/* Linked with the unit tests for Windows: files that they open are binary, as those of POSIX are. */
#include <fcntl.h>
#include <stdlib.h>

__attribute__((constructor)) static void binary(void) { _fmode = _O_BINARY; }
