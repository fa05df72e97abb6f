/* SPDX-License-Identifier: MIT */
/* Sockets by which other programs control a run. A peer sends requests, one a line; each gets one line of answer:
 *
 *     ok NAME=VALUE NAME=VALUE...      names and values without blanks
 *     error TEXT
 *
 * The peer is hostile. It cannot hold the program: nothing here waits, a request has at most CONTROL_LINE bytes, and a
 * peer that does not take its answers is hung up on. */
#ifndef COMMON_CONTROL_SOCKET_H
#define COMMON_CONTROL_SOCKET_H

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

enum { CONTROL_SOCKETS = 4, CONTROL_PEERS = 8, CONTROL_USERS = 8, CONTROL_LINE = 512,
	CONTROL_FDS = CONTROL_SOCKETS + CONTROL_PEERS };

/* The classes of users, as VM/370 has them: G controls a machine of its own, A also what others may use. */
enum control_class { CONTROL_NONE, CONTROL_G, CONTROL_A };

struct control_peer {
	enum control_class class;
	uid_t uid; /* as the host's kernel says */
};

/* Listen at WHERE, "unix:PATH[,class=g|a][,user=NAME|NUMBER]...". The user of this process and root have class A, or
 * the one that is given. The others that are named have class G. Nobody else is answered. NULL, or one line, malloc'd:
 * what is wrong. Not after the sandbox is entered. */
char *control_listen(const char *where);
/* What to wait for. Returns how many; 0: control_listen was not called. */
unsigned control_fds(struct pollfd fds[CONTROL_FDS]);
/* Answer what has come. REQUEST has printable ASCII; ANSWER writes at most CONTROL_LINE bytes, without a newline. */
typedef void control_answer(const struct control_peer *peer, char *request, char reply[CONTROL_LINE]);
void control_serve(control_answer *answer);

#endif
