/* SPDX-License-Identifier: MIT */
/* The paravirtual interface of KVM (paravirt.h). All of it follows from virtual time and from what the guest does.
 *
 * Time that other processors of the machine have run is no stolen time: a processor that waits for its turn does not
 * see time pass twice. So the structure of steal time stays as it is: 0. */
#include <stdlib.h>
#include "cpu/system/paravirt.h"
#include "cpu/system/apic.h"
#include "cpu/system/system.h"

enum { CLOCK_OLD = 1 << 0, NO_IO_DELAY = 1 << 1, CLOCK_NEW = 1 << 3, STEAL_TIME = 1 << 5, PV_EOI = 1 << 6,
       PV_UNHALT = 1 << 7, SEND_IPI = 1 << 11, POLL_CONTROL = 1 << 12, CLOCK_STABLE = 1 << 24 };
enum { MSR_WALL_CLOCK_OLD = 0x11, MSR_SYSTEM_TIME_OLD, MSR_WALL_CLOCK = 0x4b564d00, MSR_SYSTEM_TIME,
       MSR_STEAL_TIME = 0x4b564d03, MSR_EOI, MSR_POLL_CONTROL };
enum { ENABLED = 1 };

void paravirt_cpuid(const struct cpu *c, u32 leaf, u32 out[4])
{
	static const char signature[12] = "KVMKVMKVM";

	if (leaf == KVM_LEAF) {
		out[0] = KVM_LEAF + 1;
		memcpy(out + 1, signature, sizeof signature);
	} else if (leaf == KVM_LEAF + 1) {
		out[0] = CLOCK_OLD | NO_IO_DELAY | CLOCK_NEW | STEAL_TIME | POLL_CONTROL | CLOCK_STABLE |
			 (c->apic ? PV_EOI | PV_UNHALT | SEND_IPI : 0);
	}
}

/* ---- memory ---- */

/* Of the guest, by physical address. One processor may act on another one's behalf. */
static u64 load(const struct cpu *c, u64 at, unsigned size) { return vm_read(c, at, size); }
static void store(struct cpu *c, u64 at, unsigned size, u64 v) { vm_write(cpus_running(c->all), at, size, v); }

/* A structure's version is even, and another one after each update. */
static void new_version(struct cpu *c, u64 at) { store(c, at, 4, ((load(c, at, 4) + 1) & ~(u64)1) + 2); }

/* ---- clocks ---- */

/* struct pvclock_vcpu_time_info:   0 version | 8 TSC, | 16 ns at that TSC | 24 multiplier | 28 shift | 29 flags */
void paravirt_clock(struct cpu *c)
{
	const struct paravirt *p = c->paravirt;
	u64 at = p->system_time & ~(u64)ENABLED;

	if (!(p->system_time & ENABLED))
		return;
	store(c, at + 8, 8, c->clock->now + c->tsc_offset);
	store(c, at + 16, 8, c->clock->now);
	/* The TSC counts nanoseconds: ns = (TSC << 1) * 2^31 >> 32 */
	store(c, at + 24, 4, (u64)1 << 31);
	store(c, at + 28, 1, 1);
	store(c, at + 29, 1, 1); /* the same on all processors */
	new_version(c, at);
}

/* struct pvclock_wall_clock: 0 version | 4 s | 8 ns, at virtual time 0 */
static void write_wall_clock(struct cpu *c, u64 at)
{
	store(c, at + 4, 4, c->paravirt->boot_time);
	store(c, at + 8, 4, 0);
	new_version(c, at);
}

/* ---- MSRs ---- */

static u64 *place(struct paravirt *p, u32 index)
{
	switch (index) {
	case MSR_WALL_CLOCK_OLD: case MSR_WALL_CLOCK: return &p->wall_clock;
	case MSR_SYSTEM_TIME_OLD: case MSR_SYSTEM_TIME: return &p->system_time;
	case MSR_STEAL_TIME: return &p->steal_time;
	case MSR_EOI: return &p->eoi;
	case MSR_POLL_CONTROL: return &p->poll_control;
	default: return NULL;
	}
}

bool paravirt_read_msr(struct cpu *c, u32 index, u64 *v)
{
	const u64 *from = place(c->paravirt, index);

	if (from)
		*v = *from;
	return from;
}

bool paravirt_write_msr(struct cpu *c, u32 index, u64 v)
{
	struct paravirt *p = c->paravirt;
	u64 *to = place(p, index);

	if (!to || (to == &p->steal_time && v & 0x3e) || (to == &p->eoi && (v & 2 || !c->apic)) ||
	    (to == &p->poll_control && v > 1))
		return false;
	cpu_sync(c);
	if (to == &p->eoi)
		apic_look_for_eoi(c->apic);
	*to = v;
	if (to == &p->wall_clock)
		write_wall_clock(c, v);
	else if (to == &p->system_time)
		paravirt_clock(c);
	return true;
}

/* ---- EOI ---- */

void paravirt_offer_eoi(struct cpu *c)
{
	struct paravirt *p = c->paravirt;

	if (!(p->eoi & ENABLED))
		return;
	store(c, p->eoi & ~(u64)ENABLED, 1, 1);
	p->offered = true;
}

bool paravirt_take_eoi(struct cpu *c)
{
	struct paravirt *p = c->paravirt;
	u64 at = p->eoi & ~(u64)ENABLED;
	bool given;

	if (!p->offered)
		return false;
	p->offered = false;
	given = !(load(c, at, 1) & 1);
	if (!given)
		store(c, at, 1, 0);
	return given;
}

/* ---- hypercalls ---- */

enum { HC_VAPIC_POLL_IRQ = 1, HC_KICK_CPU = 5, HC_CLOCK_PAIRING = 9, HC_SEND_IPI = 10 };
/* Negative: KVM's errors. */
enum { KVM_EPERM = -1, KVM_EFAULT = -14, KVM_EINVAL = -22, KVM_EOPNOTSUPP = -95, KVM_ENOSYS = -1000 };

bool paravirt_awake(struct cpu *c)
{
	bool awake = c->paravirt->unhalted;

	c->paravirt->unhalted = false;
	return awake;
}

static s64 kick(struct cpu *c, u32 id)
{
	struct apic *a = apic_find(c->all, id);

	if (!a)
		return 0;
	if (a->cpu->activity == ACTIVITY_HALT)
		a->cpu->activity = ACTIVITY_RUN;
	else
		a->cpu->paravirt->unhalted = true;
	return 0;
}

/* struct kvm_clock_pairing: 0 s | 8 ns | 16 TSC | 24 flags, and 36 bytes that are 0 */
static s64 pair_clocks(struct cpu *c, u64 at, u64 kind)
{
	u64 now = c->clock->now;

	if (kind)
		return KVM_EOPNOTSUPP;
	if (!space_ram(c->mem, at & c->mem->mask, 64, NULL))
		return KVM_EFAULT;
	store(c, at, 8, c->paravirt->boot_time + now / 1000000000);
	store(c, at + 8, 8, now % 1000000000);
	store(c, at + 16, 8, now + c->tsc_offset);
	for (unsigned i = 24; i < 64; i += 8)
		store(c, at + i, 8, 0);
	return 0;
}

/* To the APICs whose ID is FIRST + n, where bit n of LOW and HIGH is set. How many there were. */
static s64 send_ipis(struct cpu *c, u64 low, u64 high, u32 first, u32 icr)
{
	unsigned width = in_64(c) ? 64 : 32;
	s64 count = 0;

	if (icr & 0xc0800) /* logical destinations, shorthands */
		return KVM_EINVAL;
	for (unsigned n = 0; n < 2 * width && first + n >= first; n++) {
		struct apic *a = (n < width ? low >> n : high >> (n - width)) & 1 ? apic_find(c->all, first + n) : NULL;

		if (a)
			apic_deliver(a, icr);
		count += a != NULL;
	}
	return count;
}

bool paravirt_hypercall(struct cpu *c)
{
	bool wide = in_64(c);
	u64 mask = wide ? ~(u64)0 : 0xffffffff, a0 = c->r[RBX] & mask, a1 = c->r[RCX] & mask, a2 = c->r[RDX] & mask,
	    a3 = c->r[RSI] & mask;
	s64 result;

	cpu_sync(c);
	switch (c->cpl ? 0 : c->r[RAX] & mask) {
	case HC_VAPIC_POLL_IRQ: result = 0; break;
	case HC_KICK_CPU: result = c->apic ? kick(c, (u32)a1) : KVM_ENOSYS; break;
	case HC_CLOCK_PAIRING: result = pair_clocks(c, a0, a1); break;
	case HC_SEND_IPI: result = c->apic ? send_ipis(c, a0, a1, (u32)a2, (u32)a3) : KVM_ENOSYS; break;
	default: result = c->cpl ? KVM_EPERM : KVM_ENOSYS;
	}
	c->r[RAX] = (u64)result & mask;
	return true;
}

/* ---- state ---- */

bool paravirt_new(struct cpu *c, u64 boot_time)
{
	c->paravirt = calloc(1, sizeof *c->paravirt);
	if (!c->paravirt)
		return false;
	snprintf(c->paravirt_name, sizeof c->paravirt_name, "kvm%u", c->id);
	c->paravirt->boot_time = boot_time;
	return true;
}

void paravirt_reset(struct cpu *c)
{
	*c->paravirt = (struct paravirt){ .poll_control = 1, .boot_time = c->paravirt->boot_time };
}

struct part paravirt_part(struct cpu *c)
{
	static const struct field fields[] = {
		FIELD(struct paravirt, system_time, U64), FIELD(struct paravirt, steal_time, U64),
		FIELD(struct paravirt, eoi, U64), FIELD(struct paravirt, wall_clock, U64),
		FIELD(struct paravirt, poll_control, U64), FIELD(struct paravirt, unhalted, BOOL),
		FIELD(struct paravirt, offered, BOOL), FIELD_END
	};

	return (struct part){ .name = c->paravirt_name, .state = c->paravirt, .fields = fields };
}
