/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "mem/base/compat/socket.h"
#include "unix_socket.h"

/* Is what is at ADDRESS the socket of a program that has died? */
static bool is_stale(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct stat st;
	bool stale;

	if (fd < 0)
		return false;
	stale = !lstat(address->sun_path, &st) && S_ISSOCK(st.st_mode) &&
		connect(fd, (const struct sockaddr *)address, sizeof *address) && errno == ECONNREFUSED;
	close(fd);
	return stale;
}

int unix_socket_listen(const char *path, mode_t mode)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, bound, e;
	mode_t mask;

	if (!*path || strlen(path) >= sizeof address.sun_path) {
		errno = *path ? ENAMETOOLONG : EINVAL;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	mask = umask(~mode & 0777);
	bound = bind(fd, (struct sockaddr *)&address, sizeof address);
	if (bound && errno == EADDRINUSE) {
		if (is_stale(&address) && !unlink(path))
			bound = bind(fd, (struct sockaddr *)&address, sizeof address);
		else
			errno = EADDRINUSE;
	}
	umask(mask);
	if (!bound && !listen(fd, 1))
		return fd;
	e = errno;
	close(fd);
	errno = e;
	return -1;
}
