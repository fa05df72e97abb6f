/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include "mem/base/compat/socket.h"
#include "helper.h"

enum { SOCKETS = 8, PATH_LEN = 256 };
enum wish { REMOVE, NAMES, SEAL, CREATE };
/* PATH: to remove; what comes before the number of names, a 0, and what comes after it. */
struct message { enum wish wish; bool fresh; uint64_t number; char path[PATH_LEN]; };

static int wire = -1;
static pid_t helper;

/* ---- the helper ---- */

static struct { char path[PATH_LEN]; dev_t device; ino_t inode; } sockets[SOCKETS];
static unsigned count;

static void add_socket(const char *path)
{
	struct stat st;

	if (count == SOCKETS || lstat(path, &st) || !S_ISSOCK(st.st_mode))
		return;
	strcpy(sockets[count].path, path);
	sockets[count].device = st.st_dev;
	sockets[count++].inode = st.st_ino;
}

/* A name that is another file's by now stays. */
static void remove_sockets(void)
{
	struct stat st;

	for (unsigned i = 0; i < count; i++)
		if (!lstat(sockets[i].path, &st) && st.st_dev == sockets[i].device && st.st_ino == sockets[i].inode)
			unlink(sockets[i].path);
}

/* An errno, and with 0 a descriptor. */
static void create(const struct message *names, uint64_t number)
{
	union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr header; } control = { 0 };
	const int flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (names->fresh ? O_EXCL : O_TRUNC);
	char name[PATH_LEN + 32];
	int fd, error;
	struct iovec data = { &error, sizeof error };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	snprintf(name, sizeof name, "%s%" PRIu64 "%s", names->path, number, names->path + strlen(names->path) + 1);
	errno = EPERM;
	fd = *names->path ? open(name, flags, 0666) : -1;
	error = fd >= 0 ? 0 : errno;
	if (fd >= 0) {
		control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fd),
						   .cmsg_level = SOL_SOCKET,
						   .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof control.bytes;
	}
	sendmsg(0, &message, MSG_NOSIGNAL);
	if (fd >= 0)
		close(fd);
}

static void close_others(void)
{
#if HAVE_DECL_CLOSE_RANGE
	close_range(1, ~0u, 0);
#else
	for (long fd = sysconf(_SC_OPEN_MAX); fd-- > 1;)
		close((int)fd);
#endif
}

__attribute__((noreturn)) static void work(int from)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGPIPE };
	struct message m, names = { 0 };
	bool sealed = false;

	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		signal(ignored[i], SIG_IGN);
#ifdef __linux__
	prctl(PR_SET_NAME, "vcpu-helper");
#endif
	dup2(from, 0);
	close_others(); /* none of the program's files is held open by us */
	while (recv(0, &m, sizeof m, 0) == (ssize_t)sizeof m) {
		m.path[PATH_LEN - 1] = 0;
		if (m.wish == CREATE)
			create(&names, m.number);
		else if (m.wish == SEAL)
			sealed = true;
		else if (!sealed && m.wish == REMOVE)
			add_socket(m.path);
		else if (!sealed && m.wish == NAMES)
			names = m;
	}
	remove_sockets();
	_exit(0);
}

/* ---- whom it helps ---- */

static void say(struct message *m)
{
	if (wire >= 0)
		send(wire, m, sizeof *m, MSG_NOSIGNAL);
}

static void start(void)
{
	int ends[2];

	if (wire >= 0 || socketpair(AF_UNIX, SOCKET_DATAGRAMS | SOCK_CLOEXEC, 0, ends))
		return;
	fflush(NULL);
	helper = fork();
	if (!helper)
		work(ends[1]);
	close(ends[1]);
	wire = ends[0];
}

void helper_remove(const char *path)
{
	struct message m = { .wish = REMOVE };

	if (strlen(path) >= sizeof m.path)
		return; /* no socket's name is that long */
	start();
	strcpy(m.path, path);
	say(&m);
}

void helper_names(const char *before, const char *after, bool fresh)
{
	struct message m = { .wish = NAMES, .fresh = fresh };

	start();
	if (strlen(before) + strlen(after) + 2 > sizeof m.path)
		return;
	strcpy(m.path, before);
	strcpy(m.path + strlen(before) + 1, after);
	say(&m);
}

void helper_seal(void)
{
	say(&(struct message){ .wish = SEAL });
}

int helper_create(uint64_t number)
{
	union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr header; } control = { 0 };
	int fd = -1, error = EPERM;
	struct iovec data = { &error, sizeof error };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
	};

	say(&(struct message){ .wish = CREATE, .number = number });
	if (wire >= 0 && recvmsg(wire, &message, MSG_CMSG_CLOEXEC) == (ssize_t)sizeof error && !error &&
	    CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
	errno = error;
	return fd;
}

void helper_end(void)
{
	if (wire < 0)
		return;
	close(wire);
	wire = -1;
	if (helper > 0)
		waitpid(helper, NULL, 0);
}
