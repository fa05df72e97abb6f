/* SPDX-License-Identifier: MIT */
/* Changes of the state that the caller makes between two instructions: by hand, or in a hook before an instruction.
 * Recordings and debuggers keep each one with its place, and make it again there. As bytes:
 *   0 processor (32 bits)   4 number (64)   12 value (64)   20 further bytes
 *     CHANGE_REGISTER  number of the register; value
 *     CHANGE_WIDE      number of the register; its bytes
 *     CHANGE_MEMORY    physical address; the bytes
 *     CHANGE_MSR       number of the MSR; value
 *     CHANGE_SEGMENT   number of the register; selector, access rights, limit (32 bits each), base (64)
 *     CHANGE_MODE      16, 32 or 64
 *     CHANGE_SKIP      address; value: enum of cpu.h, what the instruction would have done about RFLAGS.TF and RF. The
 *                      next instruction counts as retired, and the guest continues at the address
 * All numbers are little-endian. */
#include <limits.h>
#include "cpu/hook.h"
#include "lib/change.h"
#include "lib/debug.h"
#include "lib/replay.h"

/* More memory than this is several changes: a recording bounds its inputs. */
enum { MEMORY_AT_ONCE = 1 << 20 };

/* A hook before an instruction runs that may change the machine. */
static bool in_changer(const struct vcpu *v)
{
	const struct hooks *h = v->cpu->all->hooks;

	return h && h->current && !h->current->observer && h->event.kind & HOOK_CODE;
}

bool change_room(struct vcpu *v, size_t len)
{
	return (v->busy && !in_changer(v)) || !v->debug || debug_room(v, CHANGE_HEAD + len);
}

void machine_changed(struct vcpu *v, struct changed how, const void *bytes, size_t len)
{
	const u8 *from = bytes;
	u8 head[CHANGE_HEAD];

	if (!(v->debug || v->recorder) || (v->busy && !in_changer(v)))
		return;
	put32(head, how.processor);
	put64(head + 4, how.number);
	put64(head + 12, how.value);
	if (v->debug)
		debug_change(v->debug, how.what, head, bytes, len);
	while (v->recorder) {
		size_t now = len < MEMORY_AT_ONCE ? len : MEMORY_AT_ONCE;

		recorder_change(v->recorder, v, how.what, head, from, now);
		len -= now;
		if (!len)
			break;
		from += now;
		how.number += now;
		put64(head + 4, how.number);
	}
}

static bool set_segment(struct vcpu *v, int reg, const u8 *in, size_t len)
{
	struct vcpu_segment s;

	if (len != SEGMENT_BYTES)
		return false;
	s = (struct vcpu_segment){ .selector = (u16)get32(in), .attributes = get32(in + 4), .limit = get32(in + 8),
				   .base = get64(in + 12) };
	return !vcpu_set_segment(v, reg, &s);
}

static bool skip(struct vcpu *v, u64 rip, u64 steps)
{
	struct cpu *c = machine_running(v);

	if (in_64(c) ? !canonical(c, rip) : rip >> 32 != 0)
		return false;
	cpus_skip(c->all, rip, (u32)steps);
	machine_changed(v, (struct changed){ CHANGE_SKIP, 0, rip, steps }, NULL, 0);
	return true;
}

bool change_again(struct vcpu *v, unsigned what, const u8 *data, size_t len)
{
	const unsigned selected = v->selected;
	const u8 *bytes = data + CHANGE_HEAD;
	u64 number, value;
	bool ok = false;

	if (len < CHANGE_HEAD || get32(data) >= v->cpu->all->count)
		return false;
	len -= CHANGE_HEAD;
	number = get64(data + 4);
	value = get64(data + 12);
	v->selected = get32(data);
	switch (what) {
	case CHANGE_REGISTER: ok = number <= INT_MAX && !vcpu_set(v, (int)number, value); break;
	case CHANGE_WIDE:
		ok = number <= INT_MAX && len && len == vcpu_register_size((int)number) &&
		     !vcpu_set_register(v, (int)number, bytes);
		break;
	case CHANGE_MEMORY: ok = vcpu_write_physical(v, number, bytes, len) == len; break;
	case CHANGE_MSR: ok = number <= UINT32_MAX && !vcpu_set_msr(v, (u32)number, value); break;
	case CHANGE_SEGMENT: ok = number <= INT_MAX && set_segment(v, (int)number, bytes, len); break;
	case CHANGE_MODE: ok = number <= 64 && !vcpu_set_mode(v, (unsigned)number); break;
	case CHANGE_SKIP: ok = skip(v, number, value); break;
	}
	v->selected = selected;
	return ok;
}
