/* SPDX-License-Identifier: MIT */
/* The programs without sockets: no serial port to connect to, no gdb, no --control. */
#include <stdlib.h>
#include <string.h>
#include "cli.h"
#include "control_socket.h"
#include "gdb.h"

#define NONE "this host has no sockets of the file system"

bool port_open(enum vcpu_channel channel, const char *option, const char *where)
{
	(void)channel;
	complain("--%s %s: " NONE ", and no pseudo-terminals", option, where);
	return false;
}

void port_write(enum vcpu_channel channel, const char *data, size_t len) { (void)channel, (void)data, (void)len; }
void port_work(vcpu *machine) { (void)machine; }
unsigned port_fds(struct pollfd fds[PORTS]) { return (void)fds, 0; }
void port_close(void) { }

struct gdb *gdb_open(const char *where, const struct gdb_options *options, char **error)
{
	(void)where, (void)options;
	*error = strdup("the stub for gdb is not in the programs for Windows");
	return NULL;
}

void gdb_close(struct gdb *g) { (void)g; }
bool gdb_attach(struct gdb *g, vcpu *machine, const vcpu_replay *replay, char **error)
{
	(void)g, (void)machine, (void)replay;
	*error = NULL;
	return false;
}

enum gdb_wish gdb_serve(struct gdb *g) { return (void)g, GDB_GONE; }
struct vcpu_stop gdb_run(struct gdb *g, uint64_t instructions)
{
	(void)g, (void)instructions;
	return (struct vcpu_stop){ .reason = VCPU_STOP_REQUEST };
}

void gdb_ended(struct gdb *g, int status) { (void)g, (void)status; }

char *control_listen(const char *where)
{
	(void)where;
	return strdup(NONE);
}

unsigned control_fds(struct pollfd fds[CONTROL_FDS]) { return (void)fds, 0; }
void control_serve(control_answer *answer) { (void)answer; }
