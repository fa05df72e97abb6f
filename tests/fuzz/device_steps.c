/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/fuzz.h"
#include "lib/machine.h"
#include "tests/fuzz/device_steps.h"
#include "tests/fuzz/hashes.h"

#define MEMORY (8 * MiB)

static u64 below(u64 n) { return device_choice(n <= 256 ? 1 : n <= 65536 ? 2 : n <= (u64)1 << 32 ? 4 : 8) % n; }

/* What a register might take seriously: addresses of RAM, small numbers, single bits, all and nothing. */
static u64 value(void)
{
	u64 kind = below(16), r = device_choice(kind < 2 ? 0 : kind < 7 ? 3 : kind < 12 ? 1 : 8);

	switch (kind) {
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

/* A register of any device, most often near the beginning of its range, or where AHCI has its ports and the 82540EM its
 * rings. */
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
	static const u8 commands[] = { 0x00, 0x03, 0x12, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x42, 0x43,
				       0x44, 0x46, 0x4a, 0x51, 0x5a, 0xa8, 0xad, 0xbb, 0xbd, 0xbe };
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

/* A ring of virtio's descriptors: 0 address 8 length 12 flags 14 next; queues are where the old interface puts them. */
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
		space_write(&v->io, 0xcfc, 4,
			    below(2) ? 0xe0000000 + ((u32)below(64) << 20) : 0xc000 + ((u32)below(64) << 8));
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

	v->cpu->idle_ns += (below(256) + 1) << below(28);
	v->clock.now = cpu_now(v->cpu);
	while (clock_next(&v->clock) <= v->clock.now && clock_next(&v->clock) != CLOCK_NEVER) {
		clock_fire(&v->clock);
		if (++rounds > 100000)
			fuzz_fail("%s fires without end", v->clock.first->name);
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

void device_step(struct vcpu *v)
{
	switch (below(64)) {
	case 0: case 1: case 2: case 3: configure(v); break;
	case 4: case 5: case 6: fill_memory(v); break;
	case 7: case 8: case 9: case 10: case 11: pass(v); break;
	case 12: input(v); break;
	case 13:
		if (!below(200))
			hashes_save_and_load(v);
		break;
	case 14:
		if (!below(100))
			machine_reset(v, NULL);
		break;
	case 15: packet(v); break;
	case 16: case 17: ring(v); break;
	case 18: rings(v); break;
	default:
		access_range(below(2) ? &v->io : &v->mem, below(2) ? 3 : 4);
	}
	if (v->off) { /* and on again */
		v->off = false;
		machine_reset(v, NULL);
	}
	v->exit_wanted = v->reset_wanted = false;
}

static char *make_file(u64 size, const char *options)
{
	struct fuzz_file file = fuzz_file();
	char *spec = NULL;

	if (ftruncate(file.fd, (off_t)size) || asprintf(&spec, "%s%s", file.path, options) < 0)
		fuzz_fail("no memory for a file");
	return spec;
}

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	(void)user, (void)channel, (void)data, (void)len;
}

/* Whatever the configuration may have, as far as this library has it. */
struct vcpu *device_machine(unsigned kind)
{
	static const char *const nics[] = { "virtio", "e1000", "ne2000" };
	static u8 boot[512] = { 0xf4, [510] = 0x55, 0xaa };
	static struct vcpu_drive drives[5];
	static const char *bios, *vars;
	struct vcpu_config config = {
		.memory = MEMORY, .display = "vga", .nic = nics[kind % 3], .console = true, .rng = true,
			.share = "fuzz", .sound = true,
		.kernel_data = boot, .kernel_size = sizeof boot, .drives = drives, .drives_count = 5, .output = output,
		.seed = 1,
	};
	char *error = NULL;
	struct vcpu *v;

	if (!bios) {
		drives[0] = (struct vcpu_drive){ make_file(4 * MiB, ",snapshot"), VCPU_BUS_IDE, false };
		drives[1] = (struct vcpu_drive){ make_file(1 * MiB, ""), VCPU_BUS_IDE, true };
		drives[2] = (struct vcpu_drive){ make_file(4 * MiB, ",snapshot"), VCPU_BUS_VIRTIO, false };
		drives[3] = (struct vcpu_drive){ make_file(4 * MiB, ",snapshot"), VCPU_BUS_AHCI, false };
		drives[4] = (struct vcpu_drive){ make_file(1440 * KiB, ",snapshot"), VCPU_BUS_FLOPPY, false };
		bios = make_file(64 * KiB, "");
		vars = make_file(64 * KiB, ",snapshot");
	}
	if (kind % 2) {
		config.kernel_data = NULL;
		config.kernel_size = 0;
		config.bios = bios;
		config.vars = vars;
	}
	v = vcpu_new(&config, &error);
	if (!v)
		fuzz_fail("%s", error);
	return v;
}
