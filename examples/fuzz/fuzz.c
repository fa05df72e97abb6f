/* SPDX-License-Identifier: MIT */
/* A fuzzer's target: a whole machine that goes back to one state before each case. AFL++ starts it as its fork server;
 * without AFL++ it runs one case and says how that ended.
 *
 *     cc fuzz.c $(pkg-config --cflags --libs libvcpu) -o vcpu-fuzz
 *     AFL_SKIP_BIN_CHECK=1 afl-fuzz -i seeds -o found -- ./vcpu-fuzz --kernel guest.elf @@
 *
 * A program in the guest tells where a case begins and ends (harness.h). Edges of its code go to AFL++'s map. A case
 * that ends otherwise, as by a triple fault, has crashed. One of more than --limit instructions has timed out. See
 * docs/fuzzing.md. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vcpu_hook.h>
#include <vcpu_snapshot.h>
#include "harness.h"

enum { COMMANDS = 198, ANSWERS = 199 /* file descriptors of AFL++'s fork server */, MAP = 1 << 16, CASE_MAX = 1 << 20,
	SLICE = 5000000 };
enum outcome { ENDED, CRASHED, TIMED_OUT };

static struct vcpu_config config = { .memory = 256 << 20, .append = "console=ttyS0 quiet" };
static const char *expect = "", *type = "";
static uint64_t limit = 50000000, from, to = 0x7fffffffffff;
static vcpu *v;
static unsigned char own_map[MAP], *map = own_map, kept[MAP];
static uint64_t space; /* CR3 of the program */
static bool away;      /* another one runs */
static char heard[4096]; /* the last of COM1 */

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "vcpu-fuzz: %s%s%s\n", what, why ? ": " : "", why ? why : "");
	exit(2);
}

/* ---- the machine ---- */

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	static size_t n;

	(void)user;
	for (size_t i = 0; channel == VCPU_COM1 && i < len; i++) {
		if (n == sizeof heard - 1)
			memmove(heard, heard + 1, --n);
		heard[n++] = ((const char *)data)[i];
	}
}

/* Before a CPUID: stop at those of harness.h. */
static enum vcpu_hook_answer told(void *user, struct vcpu_hook_event *event)
{
	(void)user, (void)event;
	return (uint32_t)vcpu_get(v, VCPU_RAX) == FUZZ_LEAF ? VCPU_HOOK_STOP : VCPU_HOOK_GO;
}

/* The map has the edges of whatever runs. Those of another program are taken back. */
static enum vcpu_hook_answer switched(void *user, struct vcpu_hook_event *event)
{
	(void)user;
	if (!away && event->address != space)
		memcpy(kept, map, MAP);
	else if (away && event->address == space)
		memcpy(map, kept, MAP);
	away = event->address != space;
	return VCPU_HOOK_GO;
}

static bool stopped_at(struct vcpu_stop stop, unsigned what)
{
	return stop.reason == VCPU_STOP_HOOK && (uint32_t)vcpu_get(v, VCPU_RCX) == what;
}

/* Run to the beginning of the first case. */
static vcpu_snapshot *begin(void)
{
	const struct vcpu_hook hooks[] = {
		{ .kinds = VCPU_HOOK_INSN, .instruction = "cpuid", .observer = true, .call = told },
		{ .kinds = VCPU_HOOK_EDGE, .first = from, .last = to, .observer = true, .map = map, .map_size = MAP },
		{ .kinds = VCPU_HOOK_CR3, .observer = true, .call = switched },
	};
	struct vcpu_stop stop;
	vcpu_snapshot *s;
	char *error;

	config.output = output;
	v = vcpu_new(&config, &error);
	if (!v)
		fail("the machine", error);
	if (vcpu_hook_add(v, &hooks[0]) < 0)
		fail("a hook", vcpu_error(v));
	while (!stopped_at(stop = vcpu_run(v, SLICE), FUZZ_BEGIN)) {
		if (stop.reason != VCPU_STOP_LIMIT && stop.reason != VCPU_STOP_IDLE)
			fail("the guest stopped before a case began", vcpu_stop_name(stop.reason));
		if (*type && strstr(heard, expect)) {
			vcpu_input(v, VCPU_COM1, type, strlen(type));
			type = "";
		}
	}
	space = vcpu_get(v, VCPU_CR3);
	s = vcpu_snapshot_take(v);
	if (!s || vcpu_hook_add(v, &hooks[1]) < 0 || vcpu_hook_add(v, &hooks[2]) < 0)
		fail("the beginning of a case", vcpu_error(v));
	return s;
}

static enum outcome run_case(const vcpu_snapshot *s, const char *path)
{
	static unsigned char bytes[CASE_MAX];
	FILE *file = fopen(path, "rbe");
	size_t room, n;
	struct vcpu_stop stop;

	if (!file)
		fail("cannot read the case", path);
	if (vcpu_snapshot_restore(v, s))
		fail("going back", vcpu_error(v));
	room = vcpu_get(v, VCPU_RSI);
	n = fread(bytes, 1, room < sizeof bytes ? room : sizeof bytes, file);
	fclose(file);
	if (vcpu_write_linear(v, vcpu_get(v, VCPU_RDI), bytes, n) != n)
		fail("the guest's buffer is not in memory", NULL);
	vcpu_set(v, VCPU_RAX, n);
	vcpu_set(v, VCPU_RIP, vcpu_get(v, VCPU_RIP) + 2); /* behind CPUID */
	away = false;
	stop = vcpu_run(v, limit);
	if (away)
		memcpy(map, kept, MAP);
	if (stop.reason == VCPU_STOP_LIMIT || stop.reason == VCPU_STOP_IDLE)
		return TIMED_OUT;
	return stopped_at(stop, FUZZ_END) ? ENDED : CRASHED;
}

/* ---- AFL++ ---- */

/* A process that AFL++ can kill when it thinks that a case takes too long. */
static pid_t placeholder(void)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static void serve(const vcpu_snapshot *s, const char *path)
{
	pid_t pid = placeholder();
	int32_t word = 0;

	if (write(ANSWERS, &word, sizeof word) != sizeof word)
		fail("AFL++ does not listen", NULL);
	while (read(COMMANDS, &word, sizeof word) == sizeof word) {
		enum outcome outcome;
		int status = 0;

		if (pid < 0 || write(ANSWERS, &pid, sizeof pid) != sizeof pid)
			break;
		outcome = run_case(s, path);
		if (outcome == TIMED_OUT) { /* AFL++ must see its own time pass */
			waitpid(pid, &status, 0);
			pid = placeholder();
		}
		if (outcome == CRASHED)
			status = SIGSEGV;
		if (write(ANSWERS, &status, sizeof status) != sizeof status)
			break;
	}
	kill(pid, SIGKILL);
}

static unsigned edges(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MAP; i++)
		n += map[i] != 0;
	return n;
}

int main(int argc, char **argv)
{
	static const char *const outcomes[] = { "ended", "crashed", "timed out" };
	const char *shared = getenv("__AFL_SHM_ID");
	enum outcome outcome;
	vcpu_snapshot *s;
	uint64_t before;
	char *dash;
	int i;

	for (i = 1; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
		const char *name = argv[i] + 2, *value = argv[i + 1];

		if (!strcmp(name, "kernel"))
			config.kernel = value;
		else if (!strcmp(name, "initrd"))
			config.initrd = value;
		else if (!strcmp(name, "append"))
			config.append = value;
		else if (!strcmp(name, "expect"))
			expect = value;
		else if (!strcmp(name, "type"))
			type = value;
		else if (!strcmp(name, "memory"))
			config.memory = strtoull(value, NULL, 0) << 20;
		else if (!strcmp(name, "limit"))
			limit = strtoull(value, NULL, 0);
		else if (!strcmp(name, "code")) {
			from = strtoull(value, &dash, 0);
			to = *dash == '-' ? strtoull(dash + 1, NULL, 0) : from;
		} else
			break;
	}
	if (i != argc - 1 || !config.kernel)
		fail("usage: vcpu-fuzz --kernel FILE [--initrd FILE] [--append TEXT] [--memory MIB] "
		     "[--expect TEXT --type TEXT] [--code FROM-TO] [--limit INSTRUCTIONS] CASE", NULL);
	if (shared && (map = shmat(atoi(shared), NULL, 0)) == (void *)-1)
		fail("AFL++'s map cannot be attached", NULL);
	s = begin();
	if (shared) {
		serve(s, argv[i]);
		return 0;
	}
	before = vcpu_instructions(v);
	outcome = run_case(s, argv[i]);
	printf("%s after %" PRIu64 " instructions, %u edges\n", outcomes[outcome], vcpu_instructions(v) - before,
	       edges());
	return outcome == CRASHED;
}
