/* SPDX-License-Identifier: MIT */
/* Sockets, as Linux has them, on other hosts: flags at creation, no SIGPIPE, the peer's user, datagrams that come whole
 * and in order. configure defines HAVE_DECL_..., to 0 or 1. The including file defines _GNU_SOURCE. */
#ifndef COMPAT_SOCKET_H
#define COMPAT_SOCKET_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0 /* the programs start no others */
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#ifdef __APPLE__
#define SOCKET_DATAGRAMS SOCK_DGRAM
#else
#define SOCKET_DATAGRAMS SOCK_SEQPACKET
#endif

/* Set what SOCK_NONBLOCK and SOCK_CLOEXEC in FLAGS ask for; FD can be -1. Returns FD. */
static inline int compat_socket_flags(int fd, bool nonblock, bool cloexec)
{
	if (fd >= 0 && nonblock)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	if (fd >= 0 && cloexec)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
#ifdef SO_NOSIGPIPE
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &(int){ 1 }, sizeof(int));
#endif
	return fd;
}

#ifndef SOCK_CLOEXEC
#define SOCK_CLOEXEC 0x10000000
#define SOCK_NONBLOCK 0x20000000
static inline int compat_socket(int domain, int type, int protocol)
{
	return compat_socket_flags(socket(domain, type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK), protocol),
				   type & SOCK_NONBLOCK, type & SOCK_CLOEXEC);
}
static inline int compat_socketpair(int domain, int type, int protocol, int ends[2])
{
	if (socketpair(domain, type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK), protocol, ends))
		return -1;
	for (int i = 0; i < 2; i++)
		compat_socket_flags(ends[i], type & SOCK_NONBLOCK, type & SOCK_CLOEXEC);
	return 0;
}
#define socket compat_socket
#define socketpair compat_socketpair
#endif

#if !HAVE_DECL_ACCEPT4
static inline int compat_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	return compat_socket_flags(accept(fd, address, len), flags & SOCK_NONBLOCK, flags & SOCK_CLOEXEC);
}
#define accept4 compat_accept4
#endif

/* Waits in milliseconds, and not less than *WAIT; the signal mask is left. */
#if !HAVE_DECL_PPOLL
static inline int compat_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *wait, const sigset_t *mask)
{
	const int longest = 1000000;
	int ms = !wait ? -1 : wait->tv_sec >= longest / 1000 ? longest
		: (int)(wait->tv_sec * 1000 + (wait->tv_nsec + 999999) / 1000000);

	(void)mask;
	return poll(fds, count, ms);
}
#define ppoll compat_ppoll
#endif

/* The user at the other end of a Unix socket. False: the host does not tell. */
static inline bool socket_peer(int fd, uid_t *user)
{
#if defined SO_PEERCRED && defined __linux__
	struct ucred who;
	socklen_t len = sizeof who;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len))
		return false;
	*user = who.uid;
	return true;
#elif defined __APPLE__ || defined __FreeBSD__ || defined __NetBSD__ || defined __OpenBSD__ || defined __DragonFly__
	gid_t group;

	return !getpeereid(fd, user, &group);
#else
	(void)fd, (void)user;
	return false;
#endif
}

#endif
