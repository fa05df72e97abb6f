/* SPDX-License-Identifier: MIT */
/* Sockets in the file system, to which other programs connect. */
#ifndef COMMON_UNIX_SOCKET_H
#define COMMON_UNIX_SOCKET_H

#include <sys/types.h>

/* Listen at PATH with MODE: 0600 for this user alone. A stale socket is replaced. Returns a descriptor that does not
 * block, or -1 with errno. */
int unix_socket_listen(const char *path, mode_t mode);

#endif
