/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "mem/base/compat/socket.h"
#include "mem/base/compat/text.h"
#include "control_socket.h"
#include "helper.h"
#include "unix_socket.h"

enum { ACCEPTS = 16 }; /* between two slices of the run */

static struct listener {
	int fd;
	enum control_class class; /* the highest that it gives */
	uid_t users[CONTROL_USERS];
	unsigned count;
} listeners[CONTROL_SOCKETS];
static unsigned nlisteners;

/* The oldest first. */
static struct place { int fd; struct control_peer peer; size_t len; char line[CONTROL_LINE]; } places[CONTROL_PEERS];
static unsigned npeers;

/* ---- who may ---- */

static bool add_user(struct listener *l, const char *name)
{
	const struct passwd *entry;
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(name, &end, 10);
	if (*name < '0' || *name > '9' || *end || errno || number >= (uid_t)-1) {
		entry = getpwnam(name);
		if (!entry)
			return false;
		number = entry->pw_uid;
	}
	if (l->count == CONTROL_USERS)
		return false;
	l->users[l->count++] = (uid_t)number;
	return true;
}

/* One line, malloc'd; NULL: no memory, for which there is a line, too. */
static char *line(const char *format, const char *a, const char *b)
{
	char *text;

	return asprintf(&text, format, a, b) < 0 ? strdup("out of memory") : text;
}

static char *parse(struct listener *l, const char *where, char *options)
{
	char *option;

	while (options && (option = strsep(&options, ","))) {
		if (!strcmp(option, "class=a"))
			l->class = CONTROL_A;
		else if (!strcmp(option, "class=g"))
			l->class = CONTROL_G;
		else if (strncmp(option, "user=", 5))
			return line("%s: '%s' is none of class=g, class=a, user=NAME", where, option);
		else if (!add_user(l, option + 5))
			return line("%s: there is no user '%s', or there are too many", where, option + 5);
	}
	return NULL;
}

char *control_listen(const char *where)
{
	struct listener *l = &listeners[nlisteners];
	char *text = strdup(where), *options = text, *path, *error;

	if (!text)
		return strdup("out of memory");
	*l = (struct listener){ .fd = -1, .class = CONTROL_A };
	path = strsep(&options, ",");
	if (nlisteners == CONTROL_SOCKETS || strncmp(path, "unix:", 5))
		error = line(nlisteners == CONTROL_SOCKETS ? "%s: there are too many%s" : "%s: not unix:PATH%s", where,
			     "");
	else
		error = parse(l, where, options);
	if (!error && (l->fd = unix_socket_listen(path + 5, l->count ? 0666 : 0600)) < 0)
		error = line("%s: %s", path, errno == ENAMETOOLONG ? "longer than the name of a socket can be"
							       : strerror(errno));
	if (!error) {
		helper_remove(path + 5);
		nlisteners++;
	}
	free(text);
	return error;
}

static enum control_class class_of(const struct listener *l, uid_t uid)
{
	if (uid == geteuid() || !uid)
		return l->class;
	for (unsigned i = 0; i < l->count; i++)
		if (l->users[i] == uid)
			return CONTROL_G;
	return CONTROL_NONE;
}

/* ---- peers ---- */

static void hang_up(unsigned i)
{
	close(places[i].fd);
	npeers--;
	memmove(&places[i], &places[i + 1], (npeers - i) * sizeof *places);
}

/* Who does not take an answer has more of them waiting than the host's kernel keeps. */
static bool say(int fd, const char *text)
{
	size_t len = strlen(text);

	return send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

/* The oldest one goes for another that may do as much. */
static bool make_room(enum control_class class)
{
	for (unsigned i = 0; npeers == CONTROL_PEERS && i < npeers; i++)
		if (places[i].peer.class <= class)
			hang_up(i);
	return npeers < CONTROL_PEERS;
}

static void admit(const struct listener *l)
{
	uid_t user;
	int fd;

	for (unsigned i = 0; i < ACCEPTS; i++) {
		struct control_peer peer = { CONTROL_NONE, (uid_t)-1 };

		fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		if (socket_peer(fd, &user))
			peer = (struct control_peer){ class_of(l, user), user };
		if (peer.class && make_room(peer.class)) {
			places[npeers++] = (struct place){ .fd = fd, .peer = peer };
			continue;
		}
		say(fd, peer.class ? "error too many are connected\n"
				   : "error this user may not control this machine\n");
		close(fd);
	}
}

static bool is_printable(const char *text, size_t len)
{
	while (len && text[len - 1] >= ' ' && text[len - 1] <= '~')
		len--;
	return !len;
}

/* The requests that are complete. False: hang up. */
static bool answer_lines(struct place *p, control_answer *answer)
{
	char reply[CONTROL_LINE + 1], *end, *at = p->line;

	while ((end = memchr(at, '\n', p->len - (size_t)(at - p->line)))) {
		*reply = 0;
		if (is_printable(at, (size_t)(end - at))) {
			*end = 0;
			answer(&p->peer, at, reply);
		} else {
			strcpy(reply, "error a request is one line of printable ASCII");
		}
		reply[CONTROL_LINE - 1] = 0;
		strcat(reply, "\n");
		if (!say(p->fd, reply))
			return false;
		at = end + 1;
	}
	p->len -= (size_t)(at - p->line);
	memmove(p->line, at, p->len);
	if (p->len < sizeof p->line)
		return true;
	say(p->fd, "error the request is too long\n");
	return false;
}

void control_serve(control_answer *answer)
{
	for (unsigned i = 0; i < nlisteners; i++)
		admit(&listeners[i]);
	for (unsigned i = 0; i < npeers;) {
		struct place *p = &places[i];
		ssize_t n = read(p->fd, p->line + p->len, sizeof p->line - p->len);

		if (n > 0)
			p->len += (size_t)n;
		if (n > 0 ? answer_lines(p, answer) : n < 0 && (errno == EAGAIN || errno == EINTR))
			i++;
		else
			hang_up(i);
	}
}

unsigned control_fds(struct pollfd fds[CONTROL_FDS])
{
	for (unsigned i = 0; i < nlisteners; i++)
		fds[i] = (struct pollfd){ .fd = listeners[i].fd, .events = POLLIN };
	for (unsigned i = 0; i < npeers; i++)
		fds[nlisteners + i] = (struct pollfd){ .fd = places[i].fd, .events = POLLIN };
	return nlisteners + npeers;
}
