/* SPDX-License-Identifier: MIT */
/* third_generation: assemble programs, put them into one machine's storage one behind the other, and run the first.
 * Each but the last is a monitor: the last cell that it names is where its guest begins. See README.md. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "machine.h"

enum { LEVELS = 8 };

/* The storage of the last program's machine, a cell a line, in words that diff compares. */
static bool dump(const char *path, const struct machine *m, unsigned base, const struct program *guest)
{
	FILE *f = fopen(path, "w");

	if (!f) {
		perror(path);
		return false;
	}
	for (unsigned i = base; i < m->size; i++) {
		fprintf(f, "%5u  %016llx", i - base, (unsigned long long)m->e[i]);
		for (unsigned k = 0; k < guest->label_count; k++)
			if (guest->labels[k].value == i - base)
				fprintf(f, "  %s", guest->labels[k].name);
		putc('\n', f);
	}
	return !fclose(f);
}

static int usage(int status)
{
	fputs("Usage: third_generation [OPTION]... [MONITOR]... PROGRAM\n"
	      "Run PROGRAM on the machine, or each MONITOR with what follows it as its guest.\n\n"
	      "      --memory N   PROGRAM's machine has N cells [512]; below a monitor the real one has more\n"
	      "      --pdp10      RETU is not privileged, as JRST 1 on the PDP-10\n"
	      "      --dump FILE  write the storage of PROGRAM's machine at the end\n"
	      "      --limit N    stop after N instructions (status 1) [100000000]\n"
	      "      --help       print this text\n", status ? stderr : stdout);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "memory", required_argument, NULL, 'm' }, { "pdp10", no_argument, NULL, 'p' },
		{ "dump", required_argument, NULL, 'd' },   { "limit", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },         { 0 },
	};
	struct machine m = { .size = 512, .console = stdout };
	struct program programs[LEVELS] = { 0 };
	uint64_t limit = 100000000;
	const char *to = NULL;
	unsigned base = 0;
	int c, levels;
	bool halted;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'm': m.size = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'p': m.retu_unprivileged = true; break;
		case 'd': to = optarg; break;
		case 'l': limit = strtoull(optarg, NULL, 0); break;
		case 'h': return usage(0);
		default: return usage(2);
		}
	}
	levels = argc - optind;
	if (levels < 1 || levels > LEVELS)
		return usage(2);
	for (int i = 0; i < levels; i++) {
		if (!assemble(argv[optind + i], &programs[i]))
			return 2;
		if (i < levels - 1)
			base += programs[i].count;
	}
	m.size += base;
	if (m.size > MAX_SIZE - 1 || m.size < base + programs[levels - 1].count + 2 ||
	    !(m.e = calloc(m.size, sizeof *m.e))) {
		fputs("third_generation: the storage is too small, or too large\n", stderr);
		return 2;
	}
	base = 0;
	for (int i = 0; i < levels; i++) {
		memcpy(m.e + base, programs[i].cells, programs[i].count * sizeof *m.e);
		base += i < levels - 1 ? programs[i].count : 0;
	}
	machine_reset(&m);
	halted = machine_run(&m, limit);
	fflush(stdout);
	fprintf(stderr, "%s after %llu instructions, %llu traps\n", halted ? "halted" : "stopped",
		(unsigned long long)m.count, (unsigned long long)m.traps);
	if (to && !dump(to, &m, base, &programs[levels - 1]))
		return 2;
	for (int i = 0; i < levels; i++) {
		free(programs[i].cells);
		free(programs[i].labels);
	}
	free(m.e);
	return !halted;
}
