/* SPDX-License-Identifier: MIT */
/* The type for interfaces that wait for files. Nothing here can be waited for but standard input (tty.c). */
#ifndef WINDOWS_POLL_H
#define WINDOWS_POLL_H

struct pollfd { int fd; short events, revents; };
enum { POLLIN = 1, POLLOUT = 4 };

#endif
