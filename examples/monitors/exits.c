/* SPDX-License-Identifier: MIT */
/* The price of an exit: the monitor's instructions from an exit to the next VMRESUME, by the reason of the exit; and
 * instructions and virtual time from VMRESUME to VMRESUME, the guest's among them. */
#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <vcpu_debug.h>
#include "host.h"

enum { REASONS = 64, EXIT_REASON = 0x4402, HOST_RIP = 0x6c16, LIMIT = 400000000 };
static const char *const names[REASONS] = {
	[0] = "exception", [1] = "interrupt", [7] = "interrupt window", [10] = "cpuid", [12] = "hlt", [14] = "invlpg",
	[28] = "mov cr", [30] = "port", [48] = "EPT violation",
};
struct price { unsigned n; uint64_t least, most, sum; };

/* The linear address of VMRESUME in the file's code; 0: there is none. */
static uint32_t find_vmresume(const char *path)
{
	static unsigned char image[1 << 20];
	FILE *file = fopen(path, "rb");
	size_t size = file ? fread(image, 1, sizeof image, file) : 0;
	Elf32_Ehdr header;
	Elf32_Phdr segment;

	if (file)
		fclose(file);
	if (size < sizeof header)
		return 0;
	memcpy(&header, image, sizeof header);
	for (unsigned i = 0; i < header.e_phnum; i++) {
		memcpy(&segment, image + header.e_phoff + i * sizeof segment, sizeof segment);
		for (uint32_t at = 0; segment.p_flags & PF_X && at + 3 <= segment.p_filesz; at++)
			if (!memcmp(image + segment.p_offset + at, "\x0f\x01\xc3", 3))
				return segment.p_vaddr + at;
	}
	return 0;
}

struct fields { unsigned reason; uint64_t host_rip; };
static void take_fields(void *user, const char *name, uint32_t encoding, uint64_t value)
{
	struct fields *f = user;

	(void)name;
	if (encoding == EXIT_REASON)
		f->reason = value & (REASONS - 1);
	else if (encoding == HOST_RIP)
		f->host_rip = value;
}

static void add_price(struct price *p, uint64_t instructions)
{
	p->least = p->n && p->least < instructions ? p->least : instructions;
	p->most = p->most > instructions ? p->most : instructions;
	p->sum += instructions;
	p->n++;
}

/* Stop at each VMRESUME, at ADDRESS, and where each exit arrives. */
static void measure(vcpu *v, vcpu_debug *d, uint32_t address, struct price *prices)
{
	uint64_t first = 0, first_ns = 0, last = 0, last_ns = 0, arrived = 0;
	unsigned resumes = 0;

	vcpu_debug_break(d, address, false);
	while (vcpu_debug_run(d, LIMIT).what == VCPU_DEBUG_BREAK) {
		struct fields f = { 0, 0 };

		if (vcpu_get(v, VCPU_RIP) != address) {
			arrived = vcpu_instructions(v);
			continue;
		}
		vcpu_debug_vmcs(d, take_fields, &f);
		last = vcpu_instructions(v), last_ns = vcpu_virtual_ns(v);
		if (resumes++)
			add_price(&prices[f.reason], last + 1 - arrived);
		else
			first = last, first_ns = last_ns, vcpu_debug_break(d, f.host_rip, false);
	}
	if (resumes < 2)
		return;
	printf("%-16s %6s %8s %8s %8s\n", "exit", "number", "least", "mean", "most");
	for (unsigned i = 0; i < REASONS; i++)
		if (prices[i].n)
			printf("%-16s %6u %8" PRIu64 " %8" PRIu64 " %8" PRIu64 "\n", names[i] ? names[i] : "others",
			       prices[i].n, prices[i].least, prices[i].sum / prices[i].n, prices[i].most);
	printf("from the first VMRESUME to the last, for each: %" PRIu64 " instructions, %" PRIu64 " ns\n",
	       (last - first) / (resumes - 1), (last_ns - first_ns) / (resumes - 1));
}

void exits(const char *monitor, const char *kernel)
{
	struct price prices[REASONS] = { { 0, 0, 0, 0 } };
	static struct result result;
	struct run run;
	vcpu_debug *d;
	char *error = NULL;
	uint32_t address = find_vmresume(monitor);

	if (!address || !run_begin(&run, kernel ? monitor : NULL, kernel ? kernel : monitor, &result))
		return;
	d = vcpu_debug_new(run.v, NULL, &error);
	if (d)
		measure(run.v, d, address, prices);
	else
		fprintf(stderr, "%s\n", error);
	vcpu_debug_free(d);
	run_end(&run);
}
