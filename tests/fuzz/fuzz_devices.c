/* SPDX-License-Identifier: MIT */
/* A guest that writes to devices (device_steps.h): first byte the machine, then what decides the steps. What a device
 * reads of memory by DMA is filled in as it is read, from the bytes that come next: so rings, descriptors and commands
 * can be anything without the input having to place them. */
#include "tests/fuzz/fuzz.h"
#include "lib/machine.h"
#include "lib/vcpu_snapshot.h"
#include "tests/fuzz/device_steps.h"
#include "tests/fuzz/hashes.h"

enum { STEPS = 200, DMA_MAX = 64 };

static struct input in;
static vcpu *machines[DEVICE_MACHINES], *running;
static vcpu_snapshot *power_on[DEVICE_MACHINES];

u64 device_choice(unsigned bytes) { return take(&in, bytes); }

/* Every fourth read or so is of what is there. */
static void fill(struct space *space, u64 addr, u64 len)
{
	u8 bytes[DMA_MAX];
	u64 kind;

	if (!running || space != &running->mem || !in.left)
		return;
	kind = take(&in, 1);
	if (!(kind & 3))
		return;
	len = kind & 0x80 ? len : len < 16 ? len : 16;
	space_poke(space, addr, bytes, take_bytes(&in, bytes, len < DMA_MAX ? len : DMA_MAX));
}

void __real_space_read_block(struct space *space, u64 addr, void *out, u64 len);
void __wrap_space_read_block(struct space *space, u64 addr, void *out, u64 len);
void __wrap_space_read_block(struct space *space, u64 addr, void *out, u64 len)
{
	fill(space, addr, len);
	__real_space_read_block(space, addr, out, len);
}

u8 *__real_space_view(struct space *space, u64 addr, u64 *len, bool write);
u8 *__wrap_space_view(struct space *space, u64 addr, u64 *len, bool write);
u8 *__wrap_space_view(struct space *space, u64 addr, u64 *len, bool write)
{
	if (!write)
		fill(space, addr, *len);
	return __real_space_view(space, addr, len, write);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned kind;
	vcpu *v;

	in = (struct input){ data, size };
	kind = (unsigned)take(&in, 1) % DEVICE_MACHINES;
	if (!machines[kind]) {
		machines[kind] = device_machine(kind);
		power_on[kind] = fuzz_memory(vcpu_snapshot_take(machines[kind]));
	}
	v = machines[kind];
	if (vcpu_snapshot_restore(v, power_on[kind]))
		fuzz_fail("%s", vcpu_error(v));
	running = v;
	for (unsigned i = 0; i < STEPS && in.left; i++)
		device_step(v);
	running = NULL;
	if (size % 16 == 0)
		hashes_save_and_load(v);
	return 0;
}
