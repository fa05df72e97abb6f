/* SPDX-License-Identifier: MIT */
/* monitors DIRECTORY [--run MONITOR KERNEL | --silent MONITOR | --exits MONITOR]: run the kernel of
 * examples/monitors on its own machine and in each monitor, and print a table. DIRECTORY has what `build' makes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "host.h"

enum { LIMIT = 400000000, PATH = 512, RUNS = 16 };
static const struct monitor { const char *name, *kernel, *hostile, *how; } monitors[] = {
	{ "machine", "kernel", "hostile", "none: the machine itself" },
	{ "trap3", "kernel", "hostile", "trap and emulate, all of the guest at CPL 3" },
	{ "trap1", "kernel", "hostile", "trap and emulate, the guest's kernel at CPL 1" },
	{ "hybrid", "kernel", "hostile", "the guest's kernel is interpreted" },
	{ "translate", "kernel", "hostile", "binary translation of the guest's kernel" },
	{ "paravirtual", "kernel-pv", "hostile-pv", "the kernel is ported to hypercalls" },
	{ "vtx", "kernel", "hostile", "VT-x, shadow page tables" },
	{ "vtx-ept", "kernel", "hostile", "VT-x, EPT" },
	{ "svm", "kernel", "hostile", "SVM, nested paging" },
};
enum { MONITORS = sizeof monitors / sizeof *monitors };

static bool run_kernel(const char *directory, const char *monitor, const char *kernel, struct result *result)
{
	char monitor_path[PATH], kernel_path[PATH];
	struct run run;

	snprintf(monitor_path, sizeof monitor_path, "%s/%s", directory, monitor);
	snprintf(kernel_path, sizeof kernel_path, "%s/%s", directory, kernel);
	if (!run_begin(&run, strcmp(monitor, "machine") ? monitor_path : NULL, kernel_path, result))
		return false;
	do
		result->stop = vcpu_run(run.v, LIMIT);
	while (result->stop.reason == VCPU_STOP_IDLE);
	run_end(&run);
	return true;
}

/* What a process (user.S) adds up, by another program. */
static uint32_t process_sum(unsigned process)
{
	uint32_t sum = 0;

	for (unsigned sector = process; sector < 12; sector += 3)
		for (unsigned i = 0; i < SECTOR_SIZE / 4; i++) {
			uint32_t word = disk_word(sector, i);

			for (unsigned round = 0; round < 300; round++) {
				word *= 1664525;
				word = word << 5 | word >> 27;
			}
			sum += word;
		}
	return sum;
}

static bool right(const struct result *r)
{
	char text[64];
	uint32_t total = process_sum(0) + process_sum(1) + process_sum(2), last;

	snprintf(text, sizeof text, "\ntotal %08" PRIx32 "\n", total);
	memcpy(&last, r->disk + (GUEST_SECTORS - 1) * SECTOR_SIZE, sizeof last);
	return strstr(r->output, text) && last == total;
}

/* The sum of the report's counters: traps and exits. */
static unsigned long traps(const char *report)
{
	unsigned long sum = 0;

	for (const char *line = report; line; line = strchr(line, '\n')) {
		char *name;
		unsigned long n;

		line += *line == '\n';
		n = strtoul(line, &name, 10);
		if (name > line && name[1] != '+')
			sum += n;
	}
	return sum;
}

static const char *verdict(const struct result *r, const struct result *machine)
{
	return !strcmp(r->output, machine->output) && !memcmp(r->disk, machine->disk, sizeof r->disk) ? "equal"
												      : "differs";
}

/* The counters in a line. */
static void print_report(const char *name, const char *report)
{
	const char *separator = ": ";

	printf("%s", name);
	for (const char *line = strchr(report, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
		if (line[1] < '0' || line[1] > '9')
			continue;
		printf("%s%.*s", separator, (int)strcspn(line + 1, "\n"), line + 1);
		separator = ", ";
	}
	printf("\n");
}

static int table(const char *directory)
{
	static struct result kernel[MONITORS], hostile[MONITORS];
	char path[PATH];

	printf("%-12s %-9s %-9s %-9s %12s %7s %8s\n", "monitor", "kernel", "hostile", "isolated", "instructions",
	       "ratio", "traps");
	for (unsigned i = 0; i < MONITORS; i++) {
		const struct monitor *m = &monitors[i];

		snprintf(path, sizeof path, "%s/%s", directory, m->name);
		if (!run_possible(path)) {
			printf("%-12s this version of libvcpu does not have its processor\n", m->name);
			continue;
		}
		if (!run_kernel(directory, m->name, m->kernel, &kernel[i]) ||
		    !run_kernel(directory, m->name, m->hostile, &hostile[i]))
			return 1;
		printf("%-12s %-9s %-9s %-9s %12" PRIu64 " %7.2f %8lu\n", m->name,
		       i ? verdict(&kernel[i], &kernel[0]) : right(&kernel[0]) ? "right" : "wrong",
		       i ? verdict(&hostile[i], &hostile[0]) : "-",
		       !i ? "-" : kernel[i].isolated && hostile[i].isolated ? "yes" : "no", kernel[i].instructions,
		       (double)kernel[i].instructions / (double)kernel[0].instructions, traps(kernel[i].report));
	}
	printf("\n");
	for (unsigned i = 1; i < MONITORS; i++)
		if (kernel[i].instructions)
			print_report(monitors[i].name, kernel[i].report);
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: monitors DIRECTORY [--run MONITOR KERNEL | --silent MONITOR | --exits MONITOR]\n");
	for (unsigned i = 0; i < MONITORS; i++)
		fprintf(stderr, "  %-12s %s\n", monitors[i].name, monitors[i].how);
	return 2;
}

int main(int argc, char **argv)
{
	static struct result r;
	char monitor[PATH], kernel[PATH];

	if (argc == 2)
		return table(argv[1]);
	if (argc == 5 && !strcmp(argv[2], "--run")) {
		if (!run_kernel(argv[1], argv[3], argv[4], &r))
			return 1;
		printf("%s%s\n%s after %" PRIu64 " instructions%s%s\n", r.output, r.report,
		       vcpu_stop_name(r.stop.reason), r.instructions,
		       r.isolated ? "" : "; touched: ", r.isolated ? "" : r.touched);
		return !r.isolated;
	}
	if (argc != 4)
		return usage();
	snprintf(monitor, sizeof monitor, "%s/%s", argv[1], argv[3]);
	snprintf(kernel, sizeof kernel, "%s/kernel", argv[1]);
	if (!strcmp(argv[2], "--exits")) {
		exits(monitor, strcmp(argv[3], "hypervisor") ? kernel : NULL);
		return 0;
	}
	if (!strcmp(argv[2], "--silent")) {
		silent(monitor, kernel, strcmp(argv[3], "trap1") ? VCPU_MONITOR_CPL3 : VCPU_MONITOR_RING1);
		return 0;
	}
	return usage();
}
