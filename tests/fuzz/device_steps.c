/* A guest that writes anything to any register of any device, at any time: whatever it does, the host must not crash, hang or run out of memory.
 * Its state must also survive being saved and loaded between any two accesses.
 *
 *     devices [STEPS [SEED]]
 *
 * It drives the address spaces as a processor would; run it in a build with --enable-sanitizers. A step that takes a processor a minute is a hang. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>
#include "lib/machine.h"

#define MEMORY (8 * MiB)

static const struct itimerval minute = { .it_value.tv_sec = 60 };
static u64 seed, step;
static char directory[] = "/tmp/vcpu-fuzz-XXXXXX";

static u64 next_random(void)
{
	seed += 0x9e3779b97f4a7c15;
	return hash64(seed, &seed, sizeof seed);
}

static u64 below(u64 n) { return next_random() % n; }

/* What a register might take seriously: addresses of RAM, small numbers, single bits, all and nothing. */
static u64 value(void)
{
	u64 r = next_random();

	switch (r >> 60) {
	case 0: return 0;
	case 1: return ~(u64)0;
	case 2: case 3: case 4: return r & (MEMORY - PAGE_SIZE);
	case 5: case 6: return r & (MEMORY - 1);
	case 7: case 8: case 9: return r & 0xff;
	case 10: case 11: return (u64)1 << (r & 31);
	default: return r;
	}
}

static void touch(struct space *space, u64 address, unsigned widest)
{
	unsigned size = 1u << below(widest);

	if (below(3))
		space_write(space, address, size, value());
	else
		space_read(space, address, size);
}

/* A register of any device, most often near the beginning of its range, or where AHCI has its ports and the 82540EM its rings. */
static void access_range(struct space *space, unsigned widest)
{
	const struct range *range = &space->ranges[below(space->count)];
	static const u64 starts[] = { 0, 0, 0x100, 0x400, 0x2800, 0x3800 };
	u64 room = range->size, start = 0;

	if (range->kind != RANGE_DEVICE)
		return;
	if (below(4) && room > 256) {
		start = starts[below(ARRAY_LEN(starts))];
		start = start < room ? start : 0;
		room = 256;
	}
	touch(space, range->base + start + (below(room) & ~(below(2) ? (u64)3 : 0)), widest);
}

/* A command for an ATAPI drive, whose packet is not all nonsense. */
static void packet(struct vcpu *v)
{
	static const u8 commands[] = { 0x00, 0x03, 0x12, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x42, 0x43, 0x44, 0x46, 0x4a, 0x51, 0x5a, 0xa8, 0xad, 0xbb, 0xbd, 0xbe };
	u8 bytes[12] = { commands[below(ARRAY_LEN(commands))] };

	for (unsigned i = 1; i < sizeof bytes; i++)
		bytes[i] = below(2) ? 0 : (u8)value();
	space_write(&v->io, 0x1f6, 1, 0xb0);
	space_write(&v->io, 0x1f1, 1, below(2));
	space_write(&v->io, 0x1f5, 1, below(256));
	space_write(&v->io, 0x1f7, 1, 0xa0);
	for (unsigned i = 0; i < sizeof bytes; i += 2)
		space_write(&v->io, 0x1f0, 2, get16(bytes + i));
	for (unsigned i = (unsigned)below(2048); i-- > 0;)
		space_read(&v->io, 0x1f0, 2);
}

/* A ring of virtio's descriptors: 0 address  8 length  12 flags  14 next; queues are where the old interface puts them. */
static void ring(struct vcpu *v)
{
	u64 page = below(64) + 16, base = 0xc000 + (below(64) << 6);
	u8 descriptor[16];

	for (unsigned i = 0; i < 64; i++) {
		put64(descriptor, below(16) ? below(MEMORY) : value());
		put32(descriptor + 8, below(16) ? (u32)below(2000) : (u32)value());
		put16(descriptor + 12, below(8) ? (u16)below(4) : (u16)value());
		put16(descriptor + 14, below(8) ? (u16)below(64) : (u16)value());
		space_write_block(&v->mem, (page << PAGE_SHIFT) + 16 * i, descriptor, sizeof descriptor);
	}
	space_write(&v->io, base + 18, 1, 7);
	space_write(&v->io, base + 14, 2, below(4));
	space_write(&v->io, base + 8, 4, page);
	space_write(&v->io, base + 16, 2, below(4));
}

/* The 82540EM with rings in RAM, which is full of what else is there. */
static void rings(struct vcpu *v)
{
	static const u16 lengths[] = { 0x2808, 0x3808 }, bases[] = { 0x2800, 0x3800 }, tails[] = { 0x2818, 0x3818 };
	u64 base = 0;

	for (unsigned i = 0; i < v->mem.count; i++)
		if (!strcmp(v->mem.ranges[i].name, "e1000 pci") && v->mem.ranges[i].size > 0x10000)
			base = v->mem.ranges[i].base;
	if (!base)
		return;
	space_write(&v->mem, base + 0x100, 4, 0x8002 | value());
	space_write(&v->mem, base + 0x400, 4, 2 | value());
	for (unsigned i = 0; i < 2; i++) {
		space_write(&v->mem, base + bases[i], 4, below(MEMORY) & ~(u64)15);
		space_write(&v->mem, base + lengths[i], 4, 128 * below(32));
		space_write(&v->mem, base + tails[i], 4, below(256));
	}
}

static void configure(struct vcpu *v)
{
	u32 function = (u32)below(8) * 8 + (u32)(below(4) ? 0 : below(4)), offset = (u32)below(256);

	space_write(&v->io, 0xcf8, 4, 0x80000000 | function << 8 | (offset & 0xfc));
	switch (below(4)) {
	case 0: /* on, as a bus master */
		space_write(&v->io, 0xcf8, 4, 0x80000000 | function << 8 | 4);
		space_write(&v->io, 0xcfc, 2, 7);
		break;
	case 1: /* a base address that will do */
		space_write(&v->io, 0xcf8, 4, 0x80000000 | function << 8 | (0x10 + 4 * (u32)below(6)));
		space_write(&v->io, 0xcfc, 4, below(2) ? 0xe0000000 + ((u32)below(64) << 20) : 0xc000 + ((u32)below(64) << 8));
		break;
	default:
		touch(&v->io, 0xcfc + (offset & 3), 3);
	}
}

/* Descriptors and rings that are not all nonsense. */
static void fill_memory(struct vcpu *v)
{
	u8 bytes[256];
	u64 at = below(MEMORY - sizeof bytes);

	for (unsigned i = 0; i < sizeof bytes; i += 8)
		put64(bytes + i, value());
	space_write_block(&v->mem, below(2) ? at : at & PAGE_MASK, bytes, sizeof bytes);
}

static void pass(struct vcpu *v)
{
	unsigned rounds = 0;

	v->cpu->idle_ns += next_random() >> (28 + below(36));
	v->clock.now = cpu_now(v->cpu);
	while (clock_next(&v->clock) <= v->clock.now && clock_next(&v->clock) != CLOCK_NEVER) {
		clock_fire(&v->clock);
		if (++rounds > 100000) {
			fprintf(stderr, "step %llu: %s fires without end\n", (unsigned long long)step, v->clock.first->name);
			abort();
		}
	}
}

static void input(struct vcpu *v)
{
	u8 bytes[1514];
	size_t len = below(sizeof bytes) + 1;

	for (size_t i = 0; i < len; i++)
		bytes[i] = (u8)value();
	vcpu_input(v, (enum vcpu_channel)below(VCPU_CHANNELS), bytes, len);
}

struct hashes {
	u64 hash[PARTS_MAX];
	unsigned n, wrong;
};

static void keep_hash(void *user, const char *part, uint64_t hash)
{
	struct hashes *h = user;

	(void)part;
	h->hash[h->n++] = hash;
}

static void compare_hash(void *user, const char *part, uint64_t hash)
{
	struct hashes *h = user;

	if (h->hash[h->n++] == hash)
		return;
	fprintf(stderr, "step %llu: %s is not what was saved\n", (unsigned long long)step, part);
	h->wrong++;
}

static void save_and_load(struct vcpu *v)
{
	struct hashes hashes = { .n = 0 };
	char *error = NULL;
	void *data;
	size_t len;

	vcpu_state_parts(v, keep_hash, &hashes);
	if (!vcpu_save(v, &data, &len, &error) || !vcpu_load(v, data, len, &error)) {
		fprintf(stderr, "step %llu: saved and loaded: %s\n", (unsigned long long)step, error);
		abort();
	}
	hashes.n = 0;
	vcpu_state_parts(v, compare_hash, &hashes);
	if (hashes.wrong)
		abort();
	free(data);
}

static void run(struct vcpu *v, u64 steps)
{
	for (u64 end = step + steps; step < end; step++) {
		setitimer(ITIMER_PROF, &minute, NULL);
		switch (below(64)) {
		case 0: case 1: case 2: case 3: configure(v); break;
		case 4: case 5: case 6: fill_memory(v); break;
		case 7: case 8: case 9: case 10: case 11: pass(v); break;
		case 12: input(v); break;
		case 15: packet(v); break;
		case 16: case 17: ring(v); break;
		case 18: rings(v); break;
		case 13:
			if (!below(200))
				save_and_load(v);
			break;
		case 14:
			if (!below(100))
				machine_reset(v, NULL);
			break;
		default:
			access_range(below(2) ? &v->io : &v->mem, below(2) ? 3 : 4);
		}
		if (v->off) { /* and on again */
			v->off = false;
			machine_reset(v, NULL);
		}
		v->exit_wanted = v->reset_wanted = false;
	}
}

static char *make_file(const char *name, u64 size, const char *options)
{
	static char spec[8][128];
	static unsigned n;
	char path[96];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	file = fopen(path, "w");
	if (!file || ftruncate(fileno(file), (off_t)size)) {
		perror(path);
		exit(2);
	}
	fclose(file);
	snprintf(spec[n], sizeof spec[n], "%s%s", path, options);
	return spec[n++];
}

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	(void)user, (void)channel, (void)data, (void)len;
}

/* Whatever the configuration may have, as far as this library has it. */
static struct vcpu *machine(unsigned kind, const struct vcpu_drive *drives, const char *bios, const char *vars)
{
	static const char *const nics[] = { "virtio", "e1000", "ne2000" };
	static u8 boot[512] = { 0xf4, [510] = 0x55, 0xaa };
	struct vcpu_config config = {
		.memory = MEMORY, .display = "vga", .nic = nics[kind % 3], .console = true, .rng = true, .share = "fuzz", .sound = true,
		.kernel_data = boot, .kernel_size = sizeof boot, .drives = drives, .drives_count = 5, .output = output, .seed = 1,
	};
	char *error = NULL;
	struct vcpu *v;

	if (kind % 2) {
		config.kernel_data = NULL;
		config.bios = bios;
		config.vars = vars;
	}
	v = vcpu_new(&config, &error);
	if (!v) {
		fprintf(stderr, "skipped: %s\n", error);
		free(error);
	}
	return v;
}

int main(int argc, char **argv)
{
	u64 steps = argc > 1 ? strtoull(argv[1], NULL, 0) : 1000000;
	struct rusage usage;
	struct vcpu_drive drives[5];
	const char *bios, *vars;
	unsigned kinds = 6, made = 0;

	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	if (!mkdtemp(directory)) {
		perror(directory);
		return 2;
	}
	drives[0] = (struct vcpu_drive){ make_file("ide", 4 * MiB, ",snapshot"), VCPU_BUS_IDE, false };
	drives[1] = (struct vcpu_drive){ make_file("cdrom", 1 * MiB, ""), VCPU_BUS_IDE, true };
	drives[2] = (struct vcpu_drive){ make_file("virtio", 4 * MiB, ",snapshot"), VCPU_BUS_VIRTIO, false };
	drives[3] = (struct vcpu_drive){ make_file("ahci", 4 * MiB, ",snapshot"), VCPU_BUS_AHCI, false };
	drives[4] = (struct vcpu_drive){ make_file("floppy", 1440 * KiB, ",snapshot"), VCPU_BUS_FLOPPY, false };
	bios = make_file("bios", 64 * KiB, "");
	vars = make_file("vars", 64 * KiB, ",snapshot");
	for (unsigned kind = 0; kind < kinds; kind++) {
		struct vcpu *v = machine(kind, drives, bios, vars);

		if (!v)
			continue;
		made++;
		run(v, steps / kinds);
		vcpu_free(v);
	}
	for (const char *const *name = (const char *const[]){ "ide", "cdrom", "virtio", "ahci", "floppy", "bios", "vars", NULL }; *name; name++) {
		char path[96];

		snprintf(path, sizeof path, "%s/%s", directory, *name);
		unlink(path);
	}
	rmdir(directory);
	getrusage(RUSAGE_SELF, &usage);
	printf("%llu steps with %u machines, %ld MiB of memory\n%s\n", (unsigned long long)step, made, usage.ru_maxrss / 1024,
		usage.ru_maxrss < 1024 * 1024 && made ? "1 passed, 0 failed" : "0 passed, 1 failed");
	return !made || usage.ru_maxrss >= 1024 * 1024;
}
