/* SPDX-License-Identifier: MIT */
/* guest.s at work: a guest that programs every register of every device with random values. Whatever it does, the host
 * must not crash, hang or take more and more memory; every device must have been reached; and at random moments the
 * machine is saved and loaded into another one, which must go on exactly as it does.
 *
 *     guest [INSTRUCTIONS [SEED]]
 *
 * A guest that resets itself or shuts down is started again. Everything follows from SEED: what fails, fails again. Run
 * it in a build with
 * --enable-sanitizers. A step that takes a processor a minute is a hang. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>
#include "lib/machine.h"

#define ROM_COPY 65536u
#define ROM_SIZE (2u << 20)
#define LIFE 1500000u    /* instructions of a guest at most, until the reset button */
#define STEP_MAX 20000u      /* of a step at most */
#define TWIN_EVERY 24u   /* steps, on average; in long runs ten times fewer */
#define LONG 100000000u  /* instructions */
#define KINDS 6u
#define RSS_MAX (1024l << 10) /* KiB, for the whole process: two machines of 16 MiB, and what a sanitizer adds */
#define ROUND_PORT 0xfee0
#define PARTS 256u
#define ENOUGH 50000000u /* instructions, to reach everything */

struct machine {
	vcpu *v;
	uint64_t rounds;  /* of the guest's loop */
	uint64_t output;  /* a hash of it */
	enum vcpu_engine engine;
};

static const struct itimerval minute = { .it_value.tv_sec = 60 };
static uint64_t seed, done;
static unsigned kind, lives, twins, failed;
static bool long_run;
static uint64_t stops[VCPU_STOP_HOST + 1], rounds;
static char directory[] = "/tmp/vcpu-fuzz-XXXXXX";

static uint64_t next_random(void)
{
	uint64_t r = seed += 0x9e3779b97f4a7c15;

	r = (r ^ r >> 30) * 0xbf58476d1ce4e5b9;
	r = (r ^ r >> 27) * 0x94d049bb133111eb;
	return r ^ r >> 31;
}

static uint64_t below(uint64_t n) { return next_random() % n; }

static void fail(const char *what, const char *more)
{
	fprintf(stderr, "kind %u, instruction %llu: %s%s%s\n", kind, (unsigned long long)done, what, more ? ": " : "",
		more ? more : "");
	failed++;
}

/* ---- what the machine is connected to ---- */

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	struct machine *m = user;
	const unsigned char *bytes = data;

	m->output = (m->output ^ (channel + 1)) * 0x100000001b3;
	for (size_t i = 0; i < len; i++)
		m->output = (m->output ^ bytes[i]) * 0x100000001b3;
}

static void round_write(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	(void)offset, (void)size, (void)value;
	((struct machine *)user)->rounds++;
}

/* ---- parts that have been in another state than at the start ---- */

static struct seen { char name[64]; uint64_t hash; bool moved; } seen[PARTS];
static unsigned nseen;

/* FRESH (not NULL): the machine is new. */
static void see(void *fresh, const char *part, uint64_t hash)
{
	unsigned i = 0;

	while (i < nseen && strcmp(seen[i].name, part))
		i++;
	if (i == PARTS)
		return;
	if (i == nseen)
		snprintf(seen[nseen++].name, sizeof seen[i].name, "%s", part);
	if (fresh)
		seen[i].hash = hash;
	seen[i].moved |= seen[i].hash != hash;
}

/* ---- two machines ---- */

struct step {
	uint64_t instructions;
	enum vcpu_channel channel;
	size_t len;
	unsigned char bytes[1514];
};

static void make_step(struct step *s)
{
	s->instructions = below(16) ? below(STEP_MAX) + 1 : below(100) + 1;
	s->channel = (enum vcpu_channel)below(VCPU_CHANNELS);
	s->len = 0;
	if (s->channel == VCPU_RESET || below(3))
		return;
	s->len = s->channel == VCPU_POWER   ? 0
		 : s->channel == VCPU_MOUSE ? sizeof(struct vcpu_mouse)
		 : below(8)                 ? below(64) + 1
					    : below(sizeof s->bytes) + 1;
	for (size_t i = 0; i < s->len; i++)
		s->bytes[i] = (unsigned char)next_random();
}

/* Input that is not taken is no matter. */
static struct vcpu_stop take_step(struct machine *m, const struct step *s)
{
	if (s->len)
		vcpu_input(m->v, s->channel, s->bytes, s->len);
	return vcpu_run(m->v, s->instructions);
}

/* What differs, to the field. */
static void compare_parts(vcpu *a, vcpu *b)
{
	static struct part of_a[PARTS_MAX], of_b[PARTS_MAX];
	unsigned n = machine_parts(a, of_a);

	machine_parts(b, of_b);
	for (unsigned i = 0; i < n; i++)
		for (const struct field *f = of_a[i].fields; f->name; f++)
			for (u32 k = 0; k < f->count; k++)
				if (part_get(&of_a[i], f, k) != part_get(&of_b[i], f, k))
					fprintf(stderr, "    %s %s[%u]: %llx and %llx\n", of_a[i].name, f->name, k,
						(unsigned long long)part_get(&of_a[i], f, k),
						(unsigned long long)part_get(&of_b[i], f, k));
}

static void compare(const struct machine *a, const struct machine *b, const char *when)
{
	if (vcpu_state_hash(a->v) == vcpu_state_hash(b->v) && a->output == b->output)
		return;
	fail(when, a->output == b->output ? "another state" : "other output");
	compare_parts(a->v, b->v);
}

/* A is saved, and loaded into B, which was in whatever state, and is an interpreter. Both take the same steps. */
static struct vcpu_stop twin(struct machine *a, struct machine *b)
{
	unsigned steps = (unsigned)below(4) + 1;
	struct vcpu_stop of_a = { VCPU_STOP_LIMIT, 0 }, of_b;
	struct step step;
	char *error = NULL;
	void *data;
	size_t len;

	if (!vcpu_save(a->v, &data, &len, &error) || !vcpu_load(b->v, data, len, &error)) {
		fail("saved and loaded", error);
		exit(1);
	}
	free(data);
	b->output = a->output;
	compare(a, b, "after the load");
	for (; steps-- > 0 && (of_a.reason == VCPU_STOP_LIMIT || of_a.reason == VCPU_STOP_IDLE) && !failed;
	     done += step.instructions) {
		make_step(&step);
		of_a = take_step(a, &step);
		of_b = take_step(b, &step);
		if (of_a.reason != of_b.reason || of_a.code != of_b.code)
			fail("another stop", vcpu_stop_name(of_b.reason));
		compare(a, b, "some steps after the load");
	}
	twins++;
	return of_a;
}

/* ---- a life ---- */

/* From a reset to the next one, for so many instructions at most. False: the machine is switched off. */
static bool live(struct machine *a, struct machine *b, uint64_t instructions)
{
	uint64_t end = vcpu_instructions(a->v) + (instructions < LIFE ? instructions : LIFE), last = a->rounds;
	unsigned idle = 0, still = 0;
	struct step step;

	lives++;
	vcpu_select(a->v, 0);
	vcpu_set(a->v, VCPU_RBP, (uint32_t)next_random() | 1);
	while (vcpu_instructions(a->v) < end && idle < 50 && still < 40 && !failed) {
		struct vcpu_stop stop;
		uint64_t from = vcpu_instructions(a->v);

		setitimer(ITIMER_PROF, &minute, NULL);
		if (below(long_run ? 10 * TWIN_EVERY : TWIN_EVERY)) {
			make_step(&step);
			stop = take_step(a, &step);
			done += vcpu_instructions(a->v) - from;
		} else
			stop = twin(a, b);
		if (!below(long_run ? 64 : 4))
			vcpu_state_parts(a->v, see, NULL);
		stops[stop.reason]++;
		idle = stop.reason == VCPU_STOP_IDLE ? idle + 1 : 0;
		still = a->rounds == last ? still + 1 : 0; /* it executes something else, or sleeps deeply */
		last = a->rounds;
		if (stop.reason == VCPU_STOP_HOST)
			fail("the host failed", vcpu_error(a->v));
		if (stop.reason == VCPU_STOP_POWEROFF)
			return false;
		if (stop.reason == VCPU_STOP_TRIPLE_FAULT || stop.reason == VCPU_STOP_HALT)
			break;
	}
	vcpu_state_parts(a->v, see, NULL);
	return vcpu_input(a->v, VCPU_RESET, NULL, 0) == 0;
}

/* ---- machines of every kind ---- */

static char *path_of(const char *name)
{
	static char path[8][96];
	static unsigned n;
	char *out = path[n++ % 8];

	snprintf(out, sizeof path[0], "%s/%s", directory, name);
	return out;
}

static const char *const names[] = { "ide", "cdrom", "virtio", "ahci", "sata-cdrom", "floppy", "vars", "bios" };
static const unsigned sizes[] = { 4096, 1024, 4096, 4096, 512, 1440, 64, 0 }; /* KiB */
enum { FILES = sizeof names / sizeof *names };

static void make_files(const unsigned char rom[ROM_COPY])
{
	for (unsigned i = 0; i < FILES; i++) {
		FILE *file = fopen(path_of(names[i]), "wb");
		bool ok = file && !ftruncate(fileno(file), (off_t)sizes[i] * 1024);

		for (unsigned k = 0; ok && !sizes[i] && k < ROM_SIZE; k += ROM_COPY)
			ok = fwrite(rom, ROM_COPY, 1, file) == 1;
		if (!ok || fclose(file)) {
			perror(path_of(names[i]));
			exit(2);
		}
	}
}

static bool make(struct machine *m)
{
	static const char *const nics[] = { "virtio", "e1000", "ne2000" };
	static const enum vcpu_bus buses[] = { VCPU_BUS_IDE,  VCPU_BUS_IDE,  VCPU_BUS_VIRTIO,
					       VCPU_BUS_AHCI, VCPU_BUS_AHCI, VCPU_BUS_FLOPPY };
	static char images[6][128], vars[128];
	struct vcpu_device device = { .write = round_write, .user = m, .stateless = true };
	struct vcpu_drive drives[6];
	struct vcpu_config config = {
		.memory = 16 << 20, .processors = kind < KINDS / 2 ? 1 : 2, .bios = path_of("bios"), .vars = vars,
			.display = "vga", .drives = drives,
		.drives_count = 6, .nic = nics[kind % 3], .console = true, .rng = true, .share = "fuzz", .sound = true,
		.seed = kind % 2 ? 1 : 0,
		.output = output, .user = m, .engine = m->engine,
	};
	char *error = NULL;

	snprintf(vars, sizeof vars, "%s,snapshot", path_of("vars"));
	for (unsigned i = 0; i < 6; i++) {
		snprintf(images[i], sizeof images[i], "%s%s", path_of(names[i]),
			 strstr(names[i], "cdrom") ? "" : ",snapshot");
		drives[i] = (struct vcpu_drive){ images[i], buses[i], strstr(names[i], "cdrom") != NULL };
	}
	m->v = vcpu_new(&config, &error);
	if (!m->v || vcpu_map_ports(m->v, "rounds", ROUND_PORT, 1, &device)) {
		fail("no machine", m->v ? vcpu_error(m->v) : error);
		free(error);
		return false;
	}
	return true;
}

/* Machines of one kind, for so many instructions. */
static void run(uint64_t instructions)
{
	uint64_t end = done + instructions;
	struct machine b = { .engine = VCPU_ENGINE_INTERPRETER };

	if (!make(&b))
		return;
	vcpu_state_parts(b.v, see, &b);
	while (done < end && !failed) {
		struct machine a = { 0 };
		bool on = make(&a);

		while (on && done < end && !failed)
			on = live(&a, &b, end - done);
		rounds += a.rounds;
		vcpu_free(a.v);
	}
	vcpu_free(b.v);
}

int main(int argc, char **argv)
{
	uint64_t instructions = argc > 1 ? strtoull(argv[1], NULL, 0) : 12000000;
	static unsigned char rom[ROM_COPY];
	FILE *file = fopen("fuzz_guest.bin", "rb");
	struct rusage usage;

	if (!file || fread(rom, sizeof rom, 1, file) != 1) {
		printf("no fuzz_guest.bin: it takes binutils for x86-64\n0 passed, 0 failed, 1 skipped\n");
		return 0;
	}
	fclose(file);
	if (!mkdtemp(directory)) {
		perror(directory);
		return 2;
	}
	make_files(rom);
	long_run = instructions >= LONG;
	for (; kind < KINDS && !failed; kind++) {
		seed = (argc > 2 ? strtoull(argv[2], NULL, 0) : 1) * KINDS + kind;
		run(instructions / KINDS);
	}
	for (unsigned i = 0; i < FILES; i++)
		unlink(path_of(names[i]));
	rmdir(directory);
	getrusage(RUSAGE_SELF, &usage);
	printf("%llu instructions, %llu rounds of accesses, %u resets, %u twins", (unsigned long long)done,
	       (unsigned long long)rounds, lives, twins);
	for (unsigned i = 0; i <= VCPU_STOP_HOST; i++)
		if (stops[i])
			printf(", %s %llu", vcpu_stop_name((enum vcpu_stop_reason)i), (unsigned long long)stops[i]);
	printf(", %ld MiB of memory\n", usage.ru_maxrss / 1024);
	for (unsigned i = 0; i < nseen && instructions >= ENOUGH && !failed; i++)
		if (!seen[i].moved)
			fail("never reached", seen[i].name);
	if (usage.ru_maxrss > RSS_MAX)
		fail("too much memory", NULL);
	if (rounds < done / 2000) /* one takes 100 instructions or so; string instructions count each of their steps */
		fail("the guest does not get on", NULL);
	printf("%u passed, %u failed\n", KINDS, failed);
	return failed != 0;
}
