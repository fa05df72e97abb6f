#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "helper.h"

enum { SOCKETS = 8, PATH_LEN = 256 };
enum wish { REMOVE, PICTURES, SEAL, PICTURE };
struct message { enum wish wish; unsigned number; char path[PATH_LEN]; };

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
static void make_picture(unsigned number, bool allowed)
{
	union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr header; } control = { 0 };
	char name[32];
	int fd, error;
	struct iovec data = { &error, sizeof error };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	snprintf(name, sizeof name, "vcpu-%u.png", number);
	fd = allowed ? open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666) : -1;
	error = fd >= 0 ? 0 : allowed ? errno : EPERM;
	if (fd >= 0) {
		control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof control.bytes;
	}
	sendmsg(0, &message, MSG_NOSIGNAL);
	if (fd >= 0)
		close(fd);
}

__attribute__((noreturn)) static void work(int from)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGPIPE };
	bool pictures = false, sealed = false;
	struct message m;

	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		signal(ignored[i], SIG_IGN);
	prctl(PR_SET_NAME, "vcpu-helper");
	dup2(from, 0);
	close_range(1, ~0u, 0); /* none of the program's files is held open by us */
	while (recv(0, &m, sizeof m, 0) == (ssize_t)sizeof m) {
		m.path[PATH_LEN - 1] = 0;
		if (m.wish == PICTURE)
			make_picture(m.number, pictures);
		else if (m.wish == SEAL)
			sealed = true;
		else if (!sealed && m.wish == REMOVE)
			add_socket(m.path);
		else if (!sealed && m.wish == PICTURES)
			pictures = true;
	}
	remove_sockets();
	_exit(0);
}

/* ---- whom it helps ---- */

static void say(enum wish wish, unsigned number, const char *path)
{
	struct message m = { .wish = wish, .number = number };

	if (strlen(path) >= sizeof m.path)
		return; /* no socket's name is that long */
	strcpy(m.path, path);
	if (wire >= 0)
		send(wire, &m, sizeof m, MSG_NOSIGNAL);
}

static void start(void)
{
	int ends[2];

	if (wire >= 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
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
	start();
	say(REMOVE, 0, path);
}

void helper_pictures(void)
{
	start();
	say(PICTURES, 0, "");
}

void helper_seal(void)
{
	say(SEAL, 0, "");
}

int helper_picture(unsigned number)
{
	union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr header; } control = { 0 };
	int fd = -1, error = EPERM;
	struct iovec data = { &error, sizeof error };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };

	say(PICTURE, number, "");
	if (wire >= 0 && recvmsg(wire, &message, MSG_CMSG_CLOEXEC) == (ssize_t)sizeof error && !error && CMSG_FIRSTHDR(&message))
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
