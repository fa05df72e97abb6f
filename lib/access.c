/* Memory and devices from outside: looking, poking, and adding to the map. */
#include <stdlib.h>
#include "lib/machine.h"

/* RAM at ADDRESS, and how much of LEN there is in one piece; NULL: no RAM. */
static struct ram *ram_at(const struct vcpu *v, u64 address, u64 *offset, u64 *len)
{
	const struct range *range;
	u64 end;

	if (address & ~v->mem.mask)
		return NULL;
	range = space_find(&v->mem, address, &end);
	if (!range || range->kind != RANGE_RAM)
		return NULL;
	if (end - address < *len)
		*len = end - address;
	*offset = range->ram_offset + (address - range->base);
	return range->ram;
}

size_t vcpu_read_physical(const vcpu *v, uint64_t address, void *out, size_t len)
{
	size_t done = 0;

	while (v && out && done < len) {
		u64 run = len - done, offset;
		const struct ram *ram = ram_at(v, address + done, &offset, &run);

		if (!ram)
			break;
		memcpy((u8 *)out + done, ram->host + offset, run);
		done += run;
	}
	return done;
}

size_t vcpu_write_physical(vcpu *v, uint64_t address, const void *in, size_t len)
{
	size_t done = 0;
	bool differs = false;

	while (v && in && done < len) {
		u64 run = len - done, offset;
		const struct ram *ram = ram_at(v, address + done, &offset, &run);

		if (!ram)
			break;
		differs |= v->debug && memcmp(ram->host + offset, (const u8 *)in + done, run);
		space_poke(&v->mem, address + done, (const u8 *)in + done, run);
		done += run;
	}
	if (differs && debug_change(v, (struct changed){ CHANGE_MEMORY, 0, address, 0 }, in, done))
		return 0;
	return done;
}

/* LEN bytes at linear ADDRESS, page by page: to OUT, or from IN if WRITABLE (which is V) is given. */
static size_t linear(const vcpu *v, vcpu *writable, u64 address, void *out, const void *in, size_t len)
{
	size_t done = 0;

	while (v && (out || in) && done < len) {
		u64 at = address + done, phys;
		size_t run = PAGE_SIZE - (at & (PAGE_SIZE - 1)), now;

		if (run > len - done)
			run = len - done;
		if (!page_peek(machine_selected(v), at, &phys))
			break;
		phys &= v->mem.mask;
		if (writable)
			now = vcpu_write_physical(writable, phys, (const u8 *)in + done, run);
		else
			now = vcpu_read_physical(v, phys, (u8 *)out + done, run);
		done += now;
		if (now < run)
			break;
	}
	return done;
}

size_t vcpu_read_linear(const vcpu *v, uint64_t address, void *out, size_t len)
{
	return linear(v, NULL, address, out, NULL, len);
}

size_t vcpu_write_linear(vcpu *v, uint64_t address, const void *in, size_t len)
{
	return linear(v, v, address, NULL, in, len);
}

/* ---- adding to the map ---- */

static bool overlaps(const struct space *space, u64 base, u64 size)
{
	for (unsigned i = 0; i < space->count; i++)
		if (base < space->ranges[i].base + space->ranges[i].size && space->ranges[i].base < base + size)
			return true;
	return false;
}

int vcpu_map(vcpu *v, uint64_t address, uint64_t len)
{
	u64 room = v ? (u64)1 << v->model.physical_bits : 0;
	struct ram *ram;

	if (!v)
		return -1;
	if (!v->bare)
		return machine_error(v, "a PC has its memory already");
	if (!len || (address | len) & (PAGE_SIZE - 1))
		return machine_error(v, "map %llx, %llx bytes: both must be multiples of 4096", (unsigned long long)address,
			(unsigned long long)len);
	if (address >= room || len > room - address)
		return machine_error(v, "map %llx, %llx bytes: that is beyond the %u address lines of a %s", (unsigned long long)address,
			(unsigned long long)len, v->model.physical_bits, v->model.name);
	if (overlaps(&v->mem, address, len))
		return machine_error(v, "map %llx, %llx bytes: something is there already", (unsigned long long)address,
			(unsigned long long)len);
	ram = ram_new(len);
	if (!ram || !machine_add_block(v, address, ram))
		return machine_error(v, "map %llx, %llx bytes: the host has no memory", (unsigned long long)address, (unsigned long long)len);
	if (space_add_ram(&v->mem, "mapped", address, len, ram, 0, false) < 0) {
		v->nblocks--;
		ram_free(ram);
		return machine_error(v, "map %llx: the host has no memory", (unsigned long long)address);
	}
	return 0;
}

/* A device of the embedding program. */
struct user_device {
	struct vcpu_device ops;
	struct vcpu *v;
	struct user_device *next;
	char name[];
};

static u64 user_read(void *owner, u64 offset, unsigned size)
{
	struct user_device *d = owner;
	u64 value;

	if (!d->ops.read)
		return ~(u64)0;
	value = d->ops.read(d->ops.user, offset, size);
	machine_called(d->v);
	return value;
}

static void user_write(void *owner, u64 offset, unsigned size, u64 value)
{
	struct user_device *d = owner;

	if (!d->ops.write)
		return;
	d->ops.write(d->ops.user, offset, size, value);
	machine_called(d->v);
}

static const struct device_ops memory_ops = { user_read, user_write, 1, 8 };
static const struct device_ops port_ops = { user_read, user_write, 1, 4 };

static int add_device(vcpu *v, struct space *space, const char *name, u64 base, u64 size, const struct vcpu_device *device,
		const struct device_ops *ops)
{
	struct user_device *d;

	if (!name || !device)
		return machine_error(v, "a device needs a name and functions");
	if (!size || (base & ~space->mask) || size - 1 > space->mask - base)
		return machine_error(v, "%s: the addresses from %llx, %llx of them, do not exist", name, (unsigned long long)base,
			(unsigned long long)size);
	d = malloc(sizeof *d + strlen(name) + 1);
	if (!d)
		return machine_error(v, "%s: the host has no memory", name);
	d->ops = *device;
	d->v = v;
	strcpy(d->name, name);
	if (space_add_device(space, d->name, base, size, ops, d) < 0) {
		free(d);
		return machine_error(v, "%s: the host has no memory", name);
	}
	d->next = v->devices;
	v->devices = d;
	return 0;
}

int vcpu_map_device(vcpu *v, const char *name, uint64_t base, uint64_t size, const struct vcpu_device *device)
{
	return v ? add_device(v, &v->mem, name, base, size, device, &memory_ops) : -1;
}

int vcpu_map_ports(vcpu *v, const char *name, uint16_t base, unsigned count, const struct vcpu_device *device)
{
	return v ? add_device(v, &v->io, name, base, count, device, &port_ops) : -1;
}

void access_free_devices(struct vcpu *v)
{
	while (v->devices) {
		struct user_device *d = v->devices;

		v->devices = d->next;
		free(d);
	}
}
