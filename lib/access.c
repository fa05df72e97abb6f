/* SPDX-License-Identifier: MIT */
/* Memory from outside, and devices of the caller's. */
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

	if (v && (machine_observed(v, "vcpu_write_physical") || (in && !change_room(v, len))))
		return 0;
	while (v && in && done < len) {
		u64 run = len - done, offset;
		const struct ram *ram = ram_at(v, address + done, &offset, &run);

		if (!ram)
			break;
		v->identity_filled &= ram != v->identity;
		differs |= (v->debug || v->recorder) && memcmp(ram->host + offset, (const u8 *)in + done, run);
		space_poke(&v->mem, address + done, (const u8 *)in + done, run);
		done += run;
	}
	if (differs)
		machine_changed(v, (struct changed){ CHANGE_MEMORY, 0, address, 0 }, in, done);
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

int vcpu_translate(const vcpu *v, uint64_t linear, uint64_t *physical)
{
	u64 phys;

	if (!v)
		return -1;
	if (!page_peek(machine_selected(v), linear, &phys))
		return machine_error((struct vcpu *)v, "there is no translation of linear address %llx",
				     (unsigned long long)linear);
	if (physical)
		*physical = phys & v->mem.mask;
	return 0;
}

void *vcpu_host(vcpu *v, uint64_t physical, uint64_t *len)
{
	u64 run = ~(u64)0, offset;
	const struct ram *ram = v ? ram_at(v, physical, &offset, &run) : NULL;

	if (len)
		*len = ram ? run : 0;
	if (v && !ram)
		machine_error(v, "there is no memory at physical address %llx", (unsigned long long)physical);
	else if (v && ram == v->identity)
		v->identity_filled = false;
	return ram ? ram->host + offset : NULL;
}

int vcpu_host_written(vcpu *v, uint64_t physical, uint64_t len)
{
	if (!v || machine_observed(v, "vcpu_host_written"))
		return -1;
	if (v->recorder || v->debug)
		return machine_error(v, "vcpu_host_written: the machine is %s: use vcpu_write_physical",
				     v->recorder ? "recorded" : "debugged");
	for (u64 done = 0, run, offset; done < len; done += run) {
		run = len - done;
		if (!ram_at(v, physical + done, &offset, &run))
			return machine_error(v, "there is no memory at physical address %llx",
					     (unsigned long long)(physical + done));
		space_written(&v->mem, physical + done, run);
	}
	return 0;
}

/* ---- devices ---- */

/* A device of the embedding program. */
struct user_device {
	struct vcpu_device ops;
	struct vcpu *v;
	struct user_device *next;
	bool port;
	u64 base, size;
	struct field fields[2];
	u8 *state, *old; /* state_size bytes each */
	char part_name[VCPU_DEVICE_NAME + 8];
	char *name;      /* in it */
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

static struct user_device **device_slot(struct vcpu *v, const char *name)
{
	struct user_device **at = &v->devices;

	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	return at;
}

static int check_device(struct vcpu *v, const struct space *space, const char *name, u64 base, u64 size,
			const struct vcpu_device *device)
{
	bool saved = device && (device->state_size || device->save || device->restore);

	if (!name || !*name || !device)
		return machine_error(v, "a device needs a name and functions");
	if (strlen(name) > VCPU_DEVICE_NAME)
		return machine_error(v, "a device's name has at most %d bytes, not %zu", VCPU_DEVICE_NAME,
				     strlen(name));
	if (*device_slot(v, name))
		return machine_error(v, "%s: there is a device of that name", name);
	if (v->ndevices == OWN_DEVICES_MAX)
		return machine_error(v, "%s: there are %u devices, and no more are possible", name, OWN_DEVICES_MAX);
	if (!size || (base & ~space->mask) || size - 1 > space->mask - base)
		return machine_error(v, "%s: the addresses from %llx, %llx of them, do not exist", name,
			(unsigned long long)base,
			(unsigned long long)size);
	if (saved && (device->stateless || !device->state_size || device->state_size > VCPU_DEVICE_STATE ||
		      !device->save || !device->restore))
		return machine_error(
			v, "%s: a device is stateless, or has save, restore and a state_size of at most %u bytes", name,
			VCPU_DEVICE_STATE);
	if (v->recorder)
		return machine_error(v, "%s: the machine is being recorded: map its devices before that", name);
	return 0;
}

static int add_device(vcpu *v, struct space *space, const char *name, u64 base, u64 size,
		      const struct vcpu_device *given)
{
	struct vcpu_device device;
	struct user_device *d;

	if (!v || (given && !machine_takes(v, "vcpu_device", &device, sizeof device, sizeof device, given)))
		return -1;
	if (check_device(v, space, name, base, size, given ? &device : NULL))
		return -1;
	d = space_reserve(space, 1 + RANGES_SPARE) ? calloc(1, sizeof *d + 2 * device.state_size) : NULL;
	if (!d)
		return machine_error(v, "%s: the host has no memory", name);
	d->ops = device;
	d->v = v;
	d->port = space == &v->io;
	d->base = base;
	d->size = size;
	d->fields[0] = (struct field){ "state", 0, (u32)device.state_size, 0, FIELD_U8 };
	d->state = (u8 *)(d + 1);
	d->old = d->state + device.state_size;
	strcpy(d->part_name, "device ");
	d->name = strcpy(d->part_name + strlen(d->part_name), name);
	if (space_add_device(space, d->name, base, size, d->port ? &port_ops : &memory_ops, d) < 0) {
		free(d);
		return machine_error(v, "%s: the host has no memory", name);
	}
	*device_slot(v, name) = d;
	v->ndevices++;
	v->nstates += d->ops.save != NULL;
	return 0;
}

int vcpu_map_device(vcpu *v, const char *name, uint64_t base, uint64_t size, const struct vcpu_device *device)
{
	return add_device(v, v ? &v->mem : NULL, name, base, size, device);
}

int vcpu_map_ports(vcpu *v, const char *name, uint16_t base, unsigned count, const struct vcpu_device *device)
{
	return add_device(v, v ? &v->io : NULL, name, base, count, device);
}

void devices_free(struct vcpu *v)
{
	while (v->devices) {
		struct user_device *d = v->devices;

		v->devices = d->next;
		free(d);
	}
}

/* ---- their states ---- */

static void save(struct user_device *d, u8 *state)
{
	d->v->busy++;
	d->ops.save(d->ops.user, state);
	d->v->busy--;
}

static bool restore(struct user_device *d, const u8 *state)
{
	bool ok;

	d->v->busy++;
	ok = d->ops.restore(d->ops.user, state);
	d->v->busy--;
	return ok;
}

unsigned devices_parts(struct vcpu *v, struct part *out)
{
	unsigned n = 0;

	for (struct user_device *d = v->devices; d; d = d->next) {
		if (!d->ops.save)
			continue;
		save(d, d->state);
		out[n++] = (struct part){ d->part_name, d->state, d->fields, NULL };
	}
	return n;
}

u64 devices_hash(const struct vcpu *v, u64 h)
{
	for (const struct user_device *d = v->devices; d; d = d->next) {
		h = hash64(h, d->part_name, strlen(d->part_name));
		h = hash64(h, (u64[]){ d->port, d->base, d->size, d->ops.state_size }, 4 * sizeof(u64));
	}
	return h;
}

bool devices_known(const struct vcpu *v)
{
	for (const struct user_device *d = v->devices; d; d = d->next)
		if (!d->ops.save && !d->ops.stateless) {
			machine_error((struct vcpu *)v, "device %s has no save and restore", d->name);
			return false;
		}
	return true;
}

bool devices_restore(struct vcpu *v)
{
	for (struct user_device *d = v->devices; d; d = d->next)
		if (d->ops.save)
			save(d, d->old);
	for (struct user_device *d = v->devices; d; d = d->next) {
		if (!d->ops.save || restore(d, d->state))
			continue;
		for (struct user_device *e = v->devices; e != d; e = e->next)
			if (e->ops.save)
				restore(e, e->old);
		machine_error(v, "device %s refuses its state", d->name);
		return false;
	}
	return true;
}
