/* SPDX-License-Identifier: MIT */
/* Preloaded into vcpu by tests/cli/sandbox: the calls by which its channels reach the host try what a guest that has
 * taken the program over would try, once each and as soon as the machine runs, and say on stderr with which errno that
 * ends (0: it worked).
 *
 *   PLANT_SECRET a file to read   PLANT_NEW one to make   PLANT_PORT TCP, to connect to   PLANT_EXEC the call that tries to start a program, too
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

static int error_of(long result)
{
	return result < 0 ? errno : 0;
}

static int try_connect(const struct sockaddr *address, socklen_t len)
{
	int fd = (int)syscall(SYS_socket, address->sa_family, SOCK_STREAM, 0);

	return fd < 0 ? errno : error_of(syscall(SYS_connect, fd, address, len));
}

static void plant(const char *name, int *done)
{
	struct sockaddr_in tcp = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	const char *secret = getenv("PLANT_SECRET"), *new = getenv("PLANT_NEW"), *port = getenv("PLANT_PORT"),
		   *exec = getenv("PLANT_EXEC");
	char *const arguments[] = { "true", NULL };
	char line[256];
	int e = errno, n;

	if (*done || !secret || !new || !port || prctl(PR_GET_DUMPABLE) >= 0) /* the sandbox does not let anybody ask */
		return;
	*done = 1;
	tcp.sin_port = htons((unsigned short)atoi(port));
	strcpy(local.sun_path, "/dev/log");
	n = snprintf(line, sizeof line, "plant %s: read %d make %d unlink %d chmod %d tcp %d unix %d executable %d kill %d\n", name,
		error_of(syscall(SYS_openat, AT_FDCWD, secret, O_RDONLY)),
		error_of(syscall(SYS_openat, AT_FDCWD, new, O_WRONLY | O_CREAT, 0666)),
		error_of(syscall(SYS_unlink, secret)), error_of(syscall(SYS_chmod, secret, 0777)),
		try_connect((struct sockaddr *)&tcp, sizeof tcp),
		try_connect((struct sockaddr *)&local, sizeof local),
		error_of(syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0)),
		error_of(syscall(SYS_kill, getppid(), 0)));
	syscall(SYS_write, 2, line, n);
	if (exec && !strcmp(exec, name))
		syscall(SYS_execve, "/bin/true", arguments, NULL);
	errno = e;
}

#define CHANNEL(type, name, parameters, arguments) \
	type name parameters \
	{ \
		static type (*real) parameters; \
		static int done; \
	\
		if (!real) \
			*(void **)&real = dlsym(RTLD_NEXT, #name); \
		plant(#name, &done); \
		return real arguments; \
	}

CHANNEL(ssize_t, pwrite, (int fd, const void *data, size_t len, off_t at), (fd, data, len, at))
CHANNEL(ssize_t, pwrite64, (int fd, const void *data, size_t len, off_t at), (fd, data, len, at))
CHANNEL(ssize_t, write, (int fd, const void *data, size_t len), (fd, data, len))
CHANNEL(ssize_t, send, (int fd, const void *data, size_t len, int flags), (fd, data, len, flags))
CHANNEL(int, accept4, (int fd, struct sockaddr *address, socklen_t *len, int flags), (fd, address, len, flags))
CHANNEL(size_t, fwrite, (const void *data, size_t size, size_t n, FILE *file), (data, size, n, file))
