/* SPDX-License-Identifier: MIT */
/* Serial ports that others connect to: a pseudo-terminal, or a socket in the file system that takes one peer after the
 * other. What nobody takes is lost, as on a wire. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "cli.h"
#include "mem/base/compat/socket.h"
#include "helper.h"
#include "unix_socket.h"

static struct port {
	enum vcpu_channel channel;
	int listener;       /* a socket's; -1: none */
	int fd;             /* -1: nobody is there */
	size_t len;
	char waiting[4096]; /* a system call for every byte would be slow */
} ports[PORTS];
static unsigned count;

static void make_raw(struct termios *t)
{
	t->c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	t->c_oflag &= ~(tcflag_t)OPOST;
	t->c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	t->c_cflag = (t->c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
}

static bool open_pty(struct port *port, const char *option)
{
	struct termios t;
	int slave;

	port->fd = posix_openpt(O_RDWR | O_NOCTTY);
	if (port->fd < 0 || grantpt(port->fd) || unlockpt(port->fd) || fcntl(port->fd, F_SETFL, O_NONBLOCK) ||
	    fcntl(port->fd, F_SETFD, FD_CLOEXEC)) {
		complain("--%s pty: %s", option, strerror(errno));
		return false;
	}
	/* Our own hold of the other end: it stays raw, and reads do not fail when the peer goes. */
	slave = open(ptsname(port->fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave >= 0 && !tcgetattr(slave, &t)) {
		make_raw(&t);
		tcsetattr(slave, TCSANOW, &t);
	}
	fprintf(stderr, "vcpu: --%s is %s\n", option, ptsname(port->fd));
	return true;
}

static bool open_socket(struct port *port, const char *option, const char *path)
{
	port->listener = unix_socket_listen(path, 0600);
	if (port->listener < 0) {
		complain("--%s unix:%s: %s", option, path,
			 errno == ENAMETOOLONG ? "longer than the name of a socket can be" : strerror(errno));
		return false;
	}
	helper_remove(path);
	return true;
}

bool port_open(enum vcpu_channel channel, const char *option, const char *where)
{
	struct port *port = &ports[count++];

	*port = (struct port){ .channel = channel, .listener = -1, .fd = -1 };
	return !strcmp(where, "pty") ? open_pty(port, option) : open_socket(port, option, where + strlen("unix:"));
}

static void hang_up(struct port *port)
{
	if (port->listener < 0)
		return;
	close(port->fd);
	port->fd = -1;
}

static void flush(struct port *port)
{
	ssize_t n = 0;

	for (size_t done = 0; port->fd >= 0 && done < port->len; done += (size_t)n) {
		n = port->listener >= 0 ? send(port->fd, port->waiting + done, port->len - done, MSG_NOSIGNAL)
					: write(port->fd, port->waiting + done, port->len - done);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			hang_up(port);
		if (n <= 0)
			break;
	}
	port->len = 0;
}

void port_write(enum vcpu_channel channel, const char *data, size_t len)
{
	for (unsigned i = 0; i < count; i++) {
		struct port *port = &ports[i];

		for (size_t done = 0, n; port->channel == channel && port->fd >= 0 && done < len; done += n) {
			n = sizeof port->waiting - port->len < len - done ? sizeof port->waiting - port->len
									  : len - done;
			memcpy(port->waiting + port->len, data + done, n);
			port->len += n;
			if (port->len == sizeof port->waiting)
				flush(port);
		}
	}
}

void port_work(vcpu *machine)
{
	char data[1024];

	for (unsigned i = 0; i < count; i++) {
		struct port *port = &ports[i];
		ssize_t n;

		flush(port);
		if (port->fd < 0 && port->listener >= 0)
			port->fd = accept4(port->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (port->fd < 0)
			continue;
		n = read(port->fd, data, sizeof data);
		if (n > 0)
			vcpu_input(machine, port->channel, data, (size_t)n);
		else if (!n || (errno != EAGAIN && errno != EINTR))
			hang_up(port);
	}
}

unsigned port_fds(struct pollfd fds[PORTS])
{
	for (unsigned i = 0; i < count; i++)
		fds[i] = (struct pollfd){ .fd = ports[i].fd >= 0 ? ports[i].fd : ports[i].listener, .events = POLLIN };
	return count;
}

void port_close(void)
{
	for (unsigned i = 0; i < count; i++)
		flush(&ports[i]);
}
