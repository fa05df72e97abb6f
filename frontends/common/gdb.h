/* SPDX-License-Identifier: MIT */
/* A stub for gdb (GDB manual, appendix E, "Remote Serial Protocol") over the debugger of the library: registers,
 * memory, break- and watchpoints, steps and runs in both directions of time. Each processor is a thread.
 *
 *     gdb -ex 'target remote /tmp/socket' vmlinux
 *
 * gdb's rip is the linear address of the instruction, CS's base included, so that `x/i $pc' and `break *0x7c00' are
 * right in real mode. There is no memory map (qXfer:memory-map): gdb's addresses are linear, and the page tables
 * translate them. */
#ifndef COMMON_GDB_H
#define COMMON_GDB_H

#include <string.h>

#include <vcpu_debug.h>

struct gdb;

struct gdb_options {
	bool files; /* the monitor's commands may open files */
	bool magic; /* XCHG BX,BX is a breakpoint, from the first instruction on */
	/* A line for the user; NULL: discarded. */
	void (*tell)(const char *format, ...) __attribute__((format(printf, 1, 2)));
};

/* WHERE: "unix:PATH" (a socket of this user's alone), "[HOST]:PORT" (HOST: an IPv4 address or localhost; without
 * one, only this host can connect: all of its users and all that they run, browsers too) or "stdio"; then perhaps
 * ",arch=i8086", ",arch=i386" or ",arch=x86-64", what gdb is to be told that the processor is [by the kernel and the
 * mode at that time: see gdb_registers.h]. Listens, and waits for nobody. NULL, with a malloc'd line in *ERROR. */
struct gdb *gdb_open(const char *where, const struct gdb_options *options, char **error);
void gdb_close(struct gdb *g); /* NULL is fine */
/* Is WHERE standard input and output? Nothing else may read or write these then. NULL is not. */
static inline bool gdb_takes_stdio(const char *where)
{
	size_t len = strlen("stdio");

	return where && !strncmp(where, "stdio", len) && (!where[len] || where[len] == ',');
}
/* Debug MACHINE from where it stands, with the inputs of REPLAY, if it is one (else NULL). Waits for gdb to connect;
 * clients whose first byte is none of gdb's are hung up on. False, with a malloc'd line in *ERROR. */
bool gdb_attach(struct gdb *g, vcpu *machine, const vcpu_replay *replay, char **error);

enum gdb_wish {
	GDB_RUN,  /* the guest shall run: call gdb_run */
	GDB_GONE, /* gdb has detached, or hung up a socket: run without it; gdb_close may follow */
	GDB_KILL, /* the run shall end */
	GDB_SIGNAL, /* a signal asks for the end (ending.h) */
};
/* Do what gdb asks for while the guest stands still. */
enum gdb_wish gdb_serve(struct gdb *g);
/* Run for at most INSTRUCTIONS, and tell gdb if that ended at something of interest. What vcpu_run would have returned.
 * */
struct vcpu_stop gdb_run(struct gdb *g, uint64_t instructions);
/* The run has ended, with this exit status. */
void gdb_ended(struct gdb *g, int status);

#endif
