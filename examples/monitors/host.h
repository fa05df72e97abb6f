/* SPDX-License-Identifier: MIT */
/* The host's side: a run of the kernel, on its own machine or in a monitor, and what it leaves. */
#ifndef HOST_H
#define HOST_H

#include <vcpu.h>

enum { SECTOR_SIZE = 512, GUEST_SECTORS = 16, HOST_SECTORS = 64, FIRST_SECTOR = 24, TEXT = 8192 };

struct result {
	struct vcpu_stop stop;
	uint64_t instructions;
	char output[TEXT];                 /* the console of the kernel: port E9h */
	char report[TEXT];                 /* what the monitor says in the end, on COM1: lines of "number name";
	                                      a name that begins with + is no trap */
	unsigned char disk[GUEST_SECTORS * SECTOR_SIZE]; /* the kernel's */
	bool isolated;                     /* memory, ports and sectors of others are as they were */
	const char *touched;               /* else one of them */
};

/* A machine that is about to run. */
struct run {
	vcpu *v;
	const char *monitor;
	int disk;
	char image[64];
	unsigned accesses;                 /* to the port of another guest */
	size_t output_length, report_length;
	uint32_t text, text_size;          /* the monitor's code, physical */
	unsigned char *text_before;
	struct result *result;
};

/* Prepare KERNEL in MONITOR; NULL is none. The name of the monitor says which processor it needs. False: a text is on
 * stderr. */
bool run_begin(struct run *run, const char *monitor, const char *kernel, struct result *result);
bool run_possible(const char *monitor); /* the library has that processor */
/* Look at what the run has left, and free the machine. */
void run_end(struct run *run);
uint32_t disk_word(unsigned sector, unsigned word); /* as the disks are at first */

/* silent.c: run the kernel on its own machine, then in the monitor, and print each instruction that is sensitive
 * and does not trap (vcpu_isa_theorem), and that changes something else than on the machine itself. Returns their
 * number. */
unsigned silent(const char *monitor, const char *kernel, enum vcpu_monitor how);

/* exits.c: print what the exits of a VT-x monitor cost. KERNEL NULL: the monitor has its own guest. */
void exits(const char *monitor, const char *kernel);

#endif
