/* SPDX-License-Identifier: MIT */
/* How the programs that debug make their machine. */
#ifndef DEBUGGER_START_H
#define DEBUGGER_START_H

#include "cli.h"

struct session;
typedef void session_output(void *user, enum vcpu_channel channel, const void *data, size_t len);

/* Make the machine of S and its debugger. ARGV (ARGV[0] is not looked at) is a recording with its options, which R
 * receives, or options of vcpu run, or --dump FILE. The sandbox is entered before a file is read, except with NO_SANDBOX. OUTPUT, with
 * user NULL, is that of the machine. False, having complained, with the exit status in *STATUS. */
bool session_start(struct session *s, struct recording *r, int argc, char **argv, bool no_sandbox,
		   session_output *output, int *status);

#endif
