/* SPDX-License-Identifier: MIT */
/* vcpu-dbg's commands, for others that debug a machine. */
#ifndef MONITOR_H
#define MONITOR_H

#include <vcpu_debug.h>

struct session;

/* MACHINE, debugged by DEBUG; both are the caller's. Commands open files only if FILES says so. While a command runs
 * the machine, STOP_WANTED is asked whether that is enough. NULL: no memory. */
struct session *monitor_new(vcpu *machine, vcpu_debug *debug, bool files, bool (*stop_wanted)(void *user), void *user);
void monitor_free(struct session *s); /* before DEBUG; NULL is fine */
/* Do a command. What it says, malloc'd; NULL: no memory. *MOVED: where it has come to, if it went anywhere, else NULL.
 * */
char *monitor_command(struct session *s, const char *line, const struct vcpu_debug_stop **moved);

#endif
