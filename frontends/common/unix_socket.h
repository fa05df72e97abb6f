/* Sockets in the file system that others connect to. */
#ifndef COMMON_UNIX_SOCKET_H
#define COMMON_UNIX_SOCKET_H

/* Listen at PATH, for this user alone (mode 0600). A socket there that nobody listens at, of a program that has
 * died, is replaced. A descriptor that does not block, or -1 with errno. */
int unix_socket_listen(const char *path);

#endif
