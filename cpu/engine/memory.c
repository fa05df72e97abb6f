/* SPDX-License-Identifier: MIT */
/* Accesses that the fast path of op.h rejects: the checks in their order, page by page, and devices. */
#include "cpu/hook.h"
#include "cpu/system/page.h"
#include "cpu/system/system.h"

static u64 wrap(const struct cpu *c, u64 linear) { return linear & c->linear_mask; }
/* Tables and inner stacks are 64-bit addresses in compatibility mode, too (SDM vol. 3, 3.5.2). */
static u64 sys_wrap(const struct cpu *c, u64 linear) { return in_long(c) ? linear : wrap(c, linear); }

static bool watching(const struct cpu *c) { return c->dr[7] & 0xff && c->dr[7] & 0x33330000; }

static void watch(struct cpu *c, u64 linear, unsigned len, bool write)
{
	if (unlikely(watching(c)) && debug_watched(c, linear, len, write))
		c->attn |= ATTN_LINE;
}

/* Translate an access within one page. *HOST is the address of its bytes, or NULL for a device at *PHYS. */
static bool page_access(struct cpu *c, u64 linear, unsigned access, u8 **host, u64 *phys)
{
	const struct tlb_entry *e = &c->view->tlb[linear >> PAGE_SHIFT & (TLB_SIZE - 1)];

	if (!(access & ACCESS_SYSTEM) && (linear & PAGE_MASK) == ((access & 3) == ACCESS_WRITE ? e->write : e->read)) {
		*host = (u8 *)(uintptr_t)(linear + e->addend);
		*phys = ~(u64)0; /* no watchpoint is on this page */
		return true;
	}
	return tlb_fill(c, linear, access, host, phys);
}

/* Bytes of a page with code, which has no tag for writes. They can be written directly if the tag for reads is there,
 * the TLB has the right to write, and no instruction was decoded from them. Else NULL. */
static u8 *beside_code(struct cpu *c, u64 linear, unsigned len)
{
	unsigned n = linear >> PAGE_SHIFT & (TLB_SIZE - 1), offset = linear & (PAGE_SIZE - 1);
	u8 *host = fast_host(c, linear, len, false);

	if (!host || !(c->view->tlb[n].valid & VALID_WRITE) ||
	    (hooked(c, HOOK_MEMORY) && hook_page(c, linear, c->view->phys[n])) || !code_spares(c, c->view->phys[n], offset, len))
		return NULL;
	if (code_spares(c, c->view->phys[n], offset & ~(GRANULE - 1), GRANULE))
		tlb_learn_granule(c, linear, host);
	return host;
}

/* The bytes of an access that needs no further check, nor has a watchpoint. NULL: translate it. Implicit supervisor
 * accesses have the rights of the supervisor's view, but from CPL 3 they walk each time (page.c). */
static u8 *tagged(struct cpu *c, u64 linear, unsigned len, unsigned access)
{
	bool write = (access & 3) == ACCESS_WRITE;
	u8 *host;

	if (access & ACCESS_SYSTEM && (c->cpl == 3 || c->view != &c->views[VIEW_SUPERVISOR]))
		return NULL;
	host = fast_host(c, linear, len, write);
	return host || !write ? host : beside_code(c, linear, len);
}

static unsigned in_page(u64 linear, unsigned len)
{
	unsigned room = PAGE_SIZE - (linear & (PAGE_SIZE - 1));

	return len < room ? len : room;
}

/* An access to up to two pages, both translated before it begins. */
struct span { u8 *host[2]; u64 phys[2]; unsigned len[2]; };

/* See wrapping() in op.h. The base of a table, in a state from a file, may look like that, too. */
static unsigned bytes_before(u64 linear) { return linear >> 48 & 0x3fff; }
static bool wraps(u64 linear, unsigned len) { return linear >> 62 == 1 && bytes_before(linear) < len; }
static u64 first_part(u64 linear) { return linear & 0xffffffff; }
static u64 second_part(const struct cpu *c, u64 linear)
{
	return wrap(c, first_part(linear) + bytes_before(linear) - 0x10000);
}

static bool in_apic_page(const struct cpu *c, const struct span *s, int i)
{
	return !s->host[i] && in_guest(c) && guest_apic_page(c, s->phys[i]);
}

static bool span_open(struct cpu *c, struct span *s, u64 linear, unsigned len, unsigned access)
{
	s->len[0] = in_page(linear, len);
	s->len[1] = len - s->len[0];
	if (!page_access(c, linear, access, &s->host[0], &s->phys[0]))
		return false;
	if (unlikely(in_apic_page(c, s, 0)) &&
	    !guest_apic_access(c, linear & (PAGE_SIZE - 1), len, (enum access)(access & 3)))
		return false;
	linear = access & ACCESS_SYSTEM ? sys_wrap(c, linear + s->len[0]) : wrap(c, linear + s->len[0]);
	return !s->len[1] ||
	       (page_access(c, linear, access, &s->host[1], &s->phys[1]) &&
		(!in_apic_page(c, s, 1) || guest_apic_access(c, 0, len, (enum access)(access & 3))));
}

static void device_read(struct cpu *c, u64 phys, u8 *out, unsigned len)
{
	if (unlikely(in_guest(c)) && guest_apic_page(c, phys)) {
		guest_apic_read(c, phys & (PAGE_SIZE - 1), out, len);
		return;
	}
	cpu_ask(c);
	labour(c, LABOUR_DEVICE + len);
	if (len == 1 || len == 2 || len == 4 || len == 8)
		put_size(out, len, space_read(c->mem, phys, len));
	else
		space_read_block(c->mem, phys, out, len);
}

/* A device, or RAM that reports writes. */
static bool is_device(struct cpu *c, u64 phys)
{
	u64 end;
	const struct range *r = space_find(c->mem, phys & c->mem->mask, &end);

	return r && r->kind == RANGE_DEVICE;
}

static void observe_span(struct cpu *c, const struct span *s, u64 linear, const u8 *bytes, bool write)
{
	for (int i = 0; i < 2 && s->len[i]; linear = wrap(c, linear + s->len[i]), bytes += s->len[i], i++) {
		if (!s->host[i] && observes(c, EVENT_MMIO) && is_device(c, s->phys[i]))
			observe(c, EVENT_MMIO, s->phys[i], get_size(bytes, s->len[i] < 8 ? s->len[i] : 8), s->len[i],
				write);
		observe_access(c, linear, s->phys[i], bytes, s->len[i], write);
	}
}

static void device_write(struct cpu *c, u64 phys, const u8 *in, unsigned len)
{
	struct observer *w = c->all->observer;

	if (unlikely(in_guest(c)) && guest_apic_page(c, phys)) {
		guest_apic_write(c, phys & (PAGE_SIZE - 1), in, len);
		return;
	}
	cpu_ask(c);
	labour(c, LABOUR_DEVICE + len);
	if (unlikely(w != NULL))
		w->by_cpu = true;
	if (len == 1 || len == 2 || len == 4 || len == 8)
		space_write(c->mem, phys, len, get_size(in, len));
	else
		space_write_block(c->mem, phys, in, len);
	if (unlikely(w != NULL))
		w->by_cpu = false;
}

/* An access to S has been opened. */
static void read_span(struct cpu *c, const struct span *s, u64 linear, void *out, unsigned len)
{
	u8 *to = out;

	for (int i = 0; i < 2 && s->len[i]; to += s->len[i], i++) {
		if (s->host[i])
			memcpy(to, s->host[i], s->len[i]);
		else
			device_read(c, s->phys[i], to, s->len[i]);
	}
	watch(c, linear, len, false);
	if (unlikely(c->all->observer != NULL))
		observe_span(c, s, linear, out, false);
}

static void write_span(struct cpu *c, const struct span *s, u64 linear, const void *in, unsigned len)
{
	const u8 *from = in;

	for (int i = 0; i < 2 && s->len[i]; from += s->len[i], i++) {
		if (unlikely(c->watch != NULL))
			watch_store(c, s->host[i], s->phys[i], s->len[i]);
		if (s->host[i])
			memcpy(s->host[i], from, s->len[i]);
		else
			device_write(c, s->phys[i], from, s->len[i]);
	}
	watch(c, linear, len, true);
	if (unlikely(c->all->observer != NULL))
		observe_span(c, s, linear, in, true);
}

/* ---- accesses with hooks ---- */

/* Where what page_access() has found by a tag is. */
static u64 known_phys(const struct cpu *c, u64 linear, u64 phys)
{
	return phys != ~(u64)0 ? phys : hook_phys(c, linear);
}

/* Open S for an access that hooks are for. *HOST: the bytes, if they may be touched at once. False: fault. */
static bool hooked_open(struct cpu *c, struct span *s, u64 linear, unsigned len, unsigned access, u8 **host)
{
	u64 next;

	s->len[1] = 0;
	s->phys[0] = ~(u64)0;
	if (!hooked_host(c, linear, len, access, host)) {
		*host = NULL;
		if (!span_open(c, s, linear, len, access))
			return false;
	}
	s->phys[0] = known_phys(c, linear, s->phys[0]);
	if (s->len[1]) {
		next = access & ACCESS_SYSTEM ? sys_wrap(c, linear + s->len[0]) : wrap(c, linear + s->len[0]);
		c->all->hooks->beyond = known_phys(c, next, s->phys[1]);
	}
	return true;
}

/* S has been opened for an ACCESS of KIND: is there no memory and no device in a part of it? HOOK_GO: then what a bus
 * does is done. */
static enum hook_answer missing(struct cpu *c, const struct span *s, enum access access, u32 kind, u64 linear,
				void *data, unsigned len)
{
	enum hook_answer answer = HOOK_GO;

	for (int i = 0; i < 2 && s->len[i] && answer == HOOK_GO; linear = wrap(c, linear + s->len[i]), i++) {
		if (s->host[i] || in_apic_page(c, s, i) || !missing_at(c, s->phys[i], access))
			continue;
		if (hooked(c, kind))
			answer = hook_access(c, kind, false, linear, s->phys[i], data, len, false);
		if (answer == HOOK_GO)
			answer = missing_stop(c, access, linear, s->phys[i], len);
	}
	return answer;
}

static bool may_read(struct cpu *c, const struct span *s, u64 linear, void *out, unsigned len, enum hook_answer *answer)
{
	*answer = HOOK_GO;
	if (likely(!missing_matters(c, HOOK_MISSING_READ)))
		return true;
	memset(out, 0xff, len);
	*answer = missing(c, s, ACCESS_READ, HOOK_MISSING_READ, linear, out, len);
	return *answer == HOOK_GO;
}

static bool may_write(struct cpu *c, const struct span *s, u64 linear, const void *in, unsigned len,
		      enum hook_answer *answer)
{
	*answer = HOOK_GO;
	if (missing_matters(c, HOOK_MISSING_WRITE)) /* IN is not changed */
		*answer = missing(c, s, ACCESS_WRITE, HOOK_MISSING_WRITE, linear, (void *)in, len);
	return *answer == HOOK_GO;
}

/* memcpy, which for most is a load and a store. */
ALWAYS_INLINE void copy(void *to, const void *from, unsigned len)
{
	if (likely(len == 8))
		put64(to, get64(from));
	else if (likely(len == 4))
		put32(to, get32(from));
	else
		memcpy(to, from, len);
}

static bool read_hooked(struct cpu *c, u64 linear, void *out, unsigned len, unsigned access)
{
	const struct hooks *h = c->all->hooks;
	enum hook_answer answer;
	struct span s;
	bool device;
	u8 *host;

	if (!hooked_open(c, &s, linear, len, access, &host))
		return false;
	if (!host && !may_read(c, &s, linear, out, len, &answer))
		return answer == HOOK_SKIP;
	device = !host && !s.host[0] && is_device(c, s.phys[0]);
	if (h->before & HOOK_READ) {
		memset(out, 0, len);
		answer = hook_access(c, HOOK_READ, false, linear, s.phys[0], out, len, device);
		if (answer != HOOK_GO)
			return answer == HOOK_SKIP;
	}
	if (host)
		copy(out, host, len);
	else
		read_span(c, &s, linear, out, len);
	if (h->behind & HOOK_READ)
		hook_access(c, HOOK_READ, true, linear, s.phys[0], out, len, device);
	return true;
}

/* CHANGED has room for LEN bytes. */
static bool write_changed(struct cpu *c, u64 linear, const void *in, unsigned len, unsigned access, u8 *changed)
{
	const struct hooks *h = c->all->hooks;
	enum hook_answer answer;
	struct span s;
	bool device;
	u8 *host;

	if (!hooked_open(c, &s, linear, len, access, &host))
		return false;
	if (!host && !may_write(c, &s, linear, in, len, &answer))
		return answer == HOOK_SKIP;
	device = !host && !s.host[0] && is_device(c, s.phys[0]);
	copy(changed, in, len);
	if (h->before & HOOK_WRITE) {
		answer = hook_access(c, HOOK_WRITE, false, linear, s.phys[0], changed, len, device);
		if (answer != HOOK_GO)
			return answer == HOOK_SKIP;
	}
	if (host)
		copy(host, changed, len);
	else
		write_span(c, &s, linear, changed, len);
	if (h->behind & HOOK_WRITE)
		hook_access(c, HOOK_WRITE, true, linear, s.phys[0], changed, len, device);
	return true;
}

static COLD bool write_large(struct cpu *c, u64 linear, const void *in, unsigned len, unsigned access)
{
	u8 changed[PAGE_SIZE];

	return write_changed(c, linear, in, len, access, changed);
}

static bool write_hooked(struct cpu *c, u64 linear, const void *in, unsigned len, unsigned access)
{
	u8 changed[64];

	return len <= sizeof changed ? write_changed(c, linear, in, len, access, changed)
				     : write_large(c, linear, in, len, access);
}

/* ---- the slow way ---- */

static bool read_with(struct cpu *c, u64 linear, void *out, unsigned len, unsigned access);

/* What tagged() does not answer. */
static bool read_slow(struct cpu *c, u64 linear, void *out, unsigned len, unsigned access)
{
	enum hook_answer answer;
	struct span s;
	u8 *to = out;

	if (unlikely(wraps(linear, len)))
		return read_with(c, first_part(linear), to, bytes_before(linear), access) &&
		       read_with(c, second_part(c, linear), to + bytes_before(linear), len - bytes_before(linear),
		       access);
	if (hooked(c, HOOK_MEMORY))
		return read_hooked(c, linear, out, len, access);
	if (!span_open(c, &s, linear, len, access))
		return false;
	if (!may_read(c, &s, linear, out, len, &answer))
		return answer == HOOK_SKIP;
	read_span(c, &s, linear, out, len);
	return true;
}

static bool read_with(struct cpu *c, u64 linear, void *out, unsigned len, unsigned access)
{
	const u8 *host = tagged(c, linear, len, access);

	if (unlikely(!host))
		return read_slow(c, linear, out, len, access);
	memcpy(out, host, len);
	return true;
}

static bool write_with(struct cpu *c, u64 linear, const void *in, unsigned len, unsigned access);

static bool write_slow(struct cpu *c, u64 linear, const void *in, unsigned len, unsigned access)
{
	enum hook_answer answer;
	struct span s;
	const u8 *from = in;

	if (unlikely(wraps(linear, len)))
		return write_with(c, first_part(linear), from, bytes_before(linear), access) &&
		       write_with(c, second_part(c, linear), from + bytes_before(linear), len - bytes_before(linear),
		       access);
	if (hooked(c, HOOK_MEMORY))
		return write_hooked(c, linear, in, len, access);
	if (!span_open(c, &s, linear, len, access))
		return false;
	if (!may_write(c, &s, linear, in, len, &answer))
		return answer == HOOK_SKIP;
	write_span(c, &s, linear, in, len);
	return true;
}

static bool write_with(struct cpu *c, u64 linear, const void *in, unsigned len, unsigned access)
{
	u8 *host = tagged(c, linear, len, access);

	if (unlikely(!host))
		return write_slow(c, linear, in, len, access);
	memcpy(host, in, len);
	return true;
}

bool mem_read(struct cpu *c, u64 linear, unsigned size, u64 *out)
{
	u64 v = 0;
	const u8 *host = tagged(c, linear, size, ACCESS_READ);

	if (likely(host)) {
		*out = get_size(host, size);
		return true;
	}
	if (!read_slow(c, linear, &v, size, ACCESS_READ))
		return false;
	*out = v;
	return true;
}

bool mem_write(struct cpu *c, u64 linear, unsigned size, u64 value)
{
	u8 *host = tagged(c, linear, size, ACCESS_WRITE);

	if (likely(host)) {
		put_size(host, size, value);
		return true;
	}
	return write_slow(c, linear, &value, size, ACCESS_WRITE);
}

bool mem_read_block(struct cpu *c, u64 linear, void *out, unsigned len)
{
	return read_with(c, linear, out, len, ACCESS_READ);
}

bool mem_write_block(struct cpu *c, u64 linear, const void *in, unsigned len)
{
	return write_with(c, linear, in, len, ACCESS_WRITE);
}

/* A write that nobody can help ends the instruction before it has done anything. */
static bool stays_whole(struct cpu *c, const struct span *s, u64 linear, unsigned len)
{
	return likely(!c->all->missing_stops) || hooked(c, HOOK_MISSING_WRITE) ||
	       missing(c, s, ACCESS_WRITE, 0, linear, NULL, len) == HOOK_GO;
}

bool mem_check_write(struct cpu *c, u64 linear, unsigned len)
{
	struct span s;

	/* where offsets wrap, nothing faults */
	return tagged(c, linear, len, ACCESS_WRITE) || wraps(linear, len) ||
	       (span_open(c, &s, linear, len, ACCESS_WRITE) && stays_whole(c, &s, linear, len));
}

bool sys_read(struct cpu *c, u64 linear, unsigned size, u64 *out)
{
	u64 v = 0;
	const u8 *host = tagged(c, sys_wrap(c, linear), size, ACCESS_READ | ACCESS_SYSTEM);

	if (likely(host)) {
		*out = get_size(host, size);
		return true;
	}
	if (!read_slow(c, sys_wrap(c, linear), &v, size, ACCESS_READ | ACCESS_SYSTEM))
		return false;
	*out = v;
	return true;
}

bool sys_write(struct cpu *c, u64 linear, unsigned size, u64 value)
{
	return write_with(c, sys_wrap(c, linear), &value, size, ACCESS_WRITE | ACCESS_SYSTEM);
}

bool sys_check_write(struct cpu *c, u64 linear, unsigned len)
{
	struct span s;

	return span_open(c, &s, sys_wrap(c, linear), len, ACCESS_WRITE | ACCESS_SYSTEM);
}

/* ---- segments and operands ---- */

/* With linear-address masking the upper bits of a pointer are not of the address: they become as bit 47, or as bit 56
 * (SDM vol. 3, 4.2.2). Bit 63 stays, and says whose settings count. */
static u64 masked(const struct cpu *c, u64 linear)
{
	bool supervisor = linear >> 63;
	unsigned top = supervisor ? (!(c->cr4 & CR4_LAM_SUP) ? 63 : c->cr4 & CR4_LA57 ? 56 : 47)
		       : c->cr3 & CR3_LAM_U57 ? 56 : c->cr3 & CR3_LAM_U48 ? 47 : 63;
	u64 extended = (u64)((s64)(linear << (63 - top)) >> (63 - top)), half = (u64)1 << 63;

	return (extended & ~half) | (linear & half);
}

static bool masks_addresses(const struct cpu *c)
{
	return c->cr4 & CR4_LAM_SUP || (has(c->model, F_LAM) && c->cr3 & (CR3_LAM_U57 | CR3_LAM_U48));
}

/* SDM vol. 3, 5.3 to 5.5. In 64-bit mode: canonical addresses only (vol. 1, 3.3.7.1). */
bool seg_linear(struct cpu *c, unsigned seg, u64 offset, unsigned size, bool write, u64 *linear)
{
	const struct seg *s = &c->seg[seg];
	/* A 286 in real mode raises no stack fault: vector 13 for all segments. */
	unsigned vector = seg == SS && (has(c->model, F_I386) || in_protected(c)) ? VEC_SS : VEC_GP;
	u64 last = offset + size - 1;

	if (in_64(c)) {
		u64 base = seg == FS || seg == GS ? s->base : 0;

		*linear = base + offset;
		if (unlikely(masks_addresses(c)))
			*linear = masked(c, *linear);
		/* AMD's processors look at the offset, too. */
		if (!canonical(c, *linear) || !canonical(c, *linear + size - 1) ||
		    (is_amd(c->model) && !canonical(c, offset)))
			return fault_because(c, vector, 0, "the operand's address is not canonical (vol. 1, 3.3.7.1)");
		if (unlikely(c->cr4 & CR4_LASS) && lass_denies(c, *linear, ACCESS_READ))
			return fault_because(c, vector, 0, "LASS keeps this half of the addresses from it (4.2.1)");
		return true;
	}
	*linear = (s->base + offset) & c->linear_mask;
	if (offset + size <= (write ? s->write_end : s->read_end))
		return true;
	if (seg == FLAT)
		return true;
	if (!has(c->model, F_I286)) {
		*linear = wrapping(*linear, (unsigned)(0x10000 - offset));
		return true;
	}
	if (in_protected(c)) {
		if (s->attr & SEG_UNUSABLE || !(s->attr & SEG_P))
			return fault_because(c, vector, 0,
					     "the operand's segment register holds the null selector (5.4.1)");
		if (write && s->attr & SEG_CODE)
			return fault_because(c, vector, 0, "the operand that is written is in a code segment (5.4)");
		if (write && !(s->attr & SEG_W))
			return fault_because(c, vector, 0,
					     "the operand that is written is in a read-only segment (5.4)");
		if (s->attr & SEG_CODE && !(s->attr & SEG_W))
			return fault_because(c, vector, 0,
					     "the operand is in a code segment that is not readable (5.4)");
	}
	if ((s->attr & (SEG_CODE | SEG_E)) == SEG_E) {
		u32 top = s->attr & SEG_DB ? 0xffffffff : 0xffff;

		if (offset <= s->limit || last > top)
			return fault_because(c, vector, 0, "the operand is outside of its expand-down segment (5.3)");
	} else if (last > s->limit && (s->limit != 0xffffffff || s->base || is_amd(c->model))) {
		/* With Intel's processors a flat segment wraps: SDM vol. 3, 5.3 leaves it open. */
		if (!in_protected(c) && !in_v86(c))
			log_line(c->log, "cpu%u: real mode: %04x:%llx reaches beyond the segment's limit, %x: #%s, as on silicon", c->id, s->sel,
				 (unsigned long long)offset, s->limit, vector == VEC_SS ? "SS" : "GP");
		return fault_because(c, vector, 0, "the operand is beyond its segment's limit (5.3)");
	}
	return true;
}

/* SDM vol. 3, table 6-7: what an access of SIZE bytes must be aligned to with EFLAGS.AC. To Intel's processors SSE
 * operands of 16 bytes and more may lie anywhere. */
static unsigned natural_alignment(const struct cpu *c, unsigned size)
{
	switch (size) {
	case 16: case 32: case 64: return is_amd(c->model) ? 16 : 1;
	case 2: case 14: case 94: return 2;  /* FNSTENV, FNSAVE with 16 bits */
	case 4: case 28: case 108: return 4; /* with 32 bits */
	case 8: case 10: return 8;
	default: return size > 108 ? 4 : 1;  /* FXSAVE, XSAVE */
	}
}

bool check_alignment(struct cpu *c, u64 linear, unsigned size)
{
	if (likely(!(c->eflags & FL_AC)) || c->cpl != 3 || !(c->cr0 & CR0_AM) ||
	    !(linear & (natural_alignment(c, size) - 1)))
		return true;
	return fault_because(c, VEC_AC, 0, "the operand is not aligned, and CR0.AM and EFLAGS.AC are set (6.15)");
}

bool data_linear(struct cpu *c, unsigned seg, u64 offset, unsigned size, bool write, u64 *linear)
{
	return seg_linear(c, seg, offset, size, write, linear) && check_alignment(c, *linear, size);
}

bool op_linear(struct cpu *c, const struct op *o, unsigned size, bool write, u64 *linear)
{
	u64 offset = op_offset(c, o);

	/* A #GP for alignment precedes a stack segment's #SS. */
	if (size <= 64 && unlikely(o->scale & OP_ALIGNED) && !(o->scale & OP_ALIGNED_MM && mxcsr_mm(c))) {
		u64 base = in_64(c) && o->seg != FS && o->seg != GS ? 0 : c->seg[o->seg].base;

		if ((base + offset) & (size < 16 || size == 32 || size == 64 ? size - 1 : 15))
			return gp_because(c, 0, "the instruction wants its operand aligned (vol. 1, 4.1.1)");
	}
	if (!seg_linear(c, o->seg, offset, size, write, linear))
		return false;
	if (!check_alignment(c, *linear, size))
		return false;
	return size > 64 && o->scale & OP_ALIGNED && *linear & 15
		       ? gp_because(c, 0, "the instruction wants its operand aligned (vol. 1, 4.1.1)")
		       : true;
}

/* The operand of O, SIZE bytes (8 at most), is in the device that the last access was made to, and nobody watches it:
 * where. */
static bool op_at_device(struct cpu *c, const struct op *o, unsigned size, unsigned access, u64 *phys)
{
	const struct seg *s = OP_SEG(c, o);
	u64 offset = op_offset(c, o), linear = (offset + s->base) & c->linear_mask;
	const struct walked *w = &c->view->walked[access];

	if (((linear + size - 1) & PAGE_MASK) != w->page || c->view == &c->views[VIEW_SLOW] ||
	    offset + size > (access == ACCESS_WRITE ? s->write_end : s->read_end) || c->all->observer ||
	    hooked(c, HOOK_MEMORY | HOOK_MISSING) ||
	    c->watch || watching(c) || !page_walks_again(c, linear, access))
		return false;
	*phys = w->phys | (linear & (PAGE_SIZE - 1));
	cpu_ask(c);
	labour(c, LABOUR_DEVICE + size);
	return true;
}

/* Is the operand of O in a page in which hooks alone keep it from the fast path? Where, and its bytes. */
ALWAYS_INLINE bool op_hooked(struct cpu *c, const struct op *o, unsigned size, unsigned access, u64 *linear, u8 **host)
{
	const struct seg *s = OP_SEG(c, o);
	u64 offset = op_offset(c, o);

	*linear = (offset + s->base) & c->linear_mask;
	return offset + size <= (access == ACCESS_WRITE ? s->write_end : s->read_end) &&
	       hooked_host(c, *linear, size, access, host);
}

static COLD bool read_after_alone(struct cpu *c, const struct hook *k, u64 linear, const u8 *host, unsigned size,
				  u64 *out)
{
	struct hooks *h = c->all->hooks;

	h->bytes = *out = get_size(host, size);
	tell_alone(c, k, HOOK_READ, linear, size, *out);
	*out = h->bytes;
	return true;
}

static COLD bool write_after_alone(struct cpu *c, const struct hook *k, u64 linear, u8 *host, unsigned size, u64 value)
{
	put_size(host, size, value);
	tell_alone(c, k, HOOK_WRITE, linear, size, value);
	return true;
}

static COLD bool load_slow(struct cpu *c, const struct op *o, unsigned size, u64 *out)
{
	u64 linear, phys;
	u8 *host;

	if (hooked(c, HOOK_MEMORY) && op_hooked(c, o, size, ACCESS_READ, &linear, &host)) {
		*out = 0;
		return read_hooked(c, linear, out, size, ACCESS_READ);
	}
	if (op_at_device(c, o, size, ACCESS_READ, &phys)) {
		*out = space_read(c->mem, phys, size);
		return true;
	}
	return op_linear(c, o, size, false, &linear) && mem_read(c, linear, size, out);
}

bool op_load(struct cpu *c, const struct op *o, unsigned size, u64 *out)
{
	const struct hook *k;
	enum hook_answer answer;
	u64 linear;
	u8 *host;

	if (!c->all->hooks || unlikely(!(k = access_alone(c, HOOK_READ))) ||
	    unlikely(!op_hooked(c, o, size, ACCESS_READ, &linear, &host)))
		return load_slow(c, o, size, out);
	if (unlikely(k->after))
		return read_after_alone(c, k, linear, host, size, out);
	answer = tell_alone(c, k, HOOK_READ, linear, size, 0);
	*out = get_size(host, size);
	if (unlikely(answer != HOOK_GO)) {
		*out = c->all->hooks->bytes;
		return answer == HOOK_SKIP;
	}
	return true;
}

/* As fast_op(), by beside_code() instead of the tag. */
static u8 *op_beside_code(struct cpu *c, const struct op *o, unsigned size)
{
	const struct seg *s = OP_SEG(c, o);
	u64 offset = op_offset(c, o);

	return offset + size <= s->write_end ? beside_code(c, (offset + s->base) & c->linear_mask, size) : NULL;
}

static COLD bool store_slow(struct cpu *c, const struct op *o, unsigned size, u64 v)
{
	u64 linear, phys;
	u8 *host;

	if (hooked(c, HOOK_MEMORY) && op_hooked(c, o, size, ACCESS_WRITE, &linear, &host))
		return write_hooked(c, linear, &v, size, ACCESS_WRITE);
	if (op_at_device(c, o, size, ACCESS_WRITE, &phys)) {
		space_write(c->mem, phys, size, v);
		return true;
	}
	host = op_beside_code(c, o, size);
	if (host) {
		put_size(host, size, v);
		return true;
	}
	return op_linear(c, o, size, true, &linear) && mem_write(c, linear, size, v);
}

bool op_store(struct cpu *c, const struct op *o, unsigned size, u64 v)
{
	struct hooks *h = c->all->hooks;
	const struct hook *k;
	enum hook_answer answer;
	u64 linear;
	u8 *host;

	if (!h || unlikely(!(k = access_alone(c, HOOK_WRITE))) ||
	    unlikely(!op_hooked(c, o, size, ACCESS_WRITE, &linear, &host)))
		return store_slow(c, o, size, v);
	if (unlikely(k->after))
		return write_after_alone(c, k, linear, host, size, trim(v, size));
	h->bytes = v;
	answer = tell_alone(c, k, HOOK_WRITE, linear, size, trim(v, size));
	if (unlikely(answer != HOOK_GO))
		return answer == HOOK_SKIP;
	put_size(host, size, h->bytes);
	return true;
}

bool op_load_rmw(struct cpu *c, const struct op *o, unsigned size, u64 *out)
{
	u64 linear;
	const u8 *host = op_beside_code(c, o, size);

	if (hooked(c, HOOK_MEMORY | HOOK_MISSING))
		hook_keep_flags(c);
	if (host) {
		*out = get_size(host, size);
		return true;
	}
	return op_linear(c, o, size, true, &linear) && mem_check_write(c, linear, size) &&
	       mem_read(c, linear, size, out);
}

bool op_load_block(struct cpu *c, const struct op *o, void *out, unsigned len)
{
	u64 linear;

	return op_linear(c, o, len, false, &linear) && mem_read_block(c, linear, out, len);
}

bool op_store_block(struct cpu *c, const struct op *o, const void *in, unsigned len)
{
	u64 linear;

	return op_linear(c, o, len, true, &linear) && mem_write_block(c, linear, in, len);
}

/* ---- the stack ---- */

static void set_rsp(struct cpu *c, u64 rsp)
{
	u64 mask = stack_mask(c);

	if (mask == 0xffff)
		c->r[RSP] = (c->r[RSP] & ~mask) | (rsp & mask);
	else
		c->r[RSP] = rsp & mask;
}

bool stack_push(struct cpu *c, unsigned size, u64 v)
{
	u64 rsp = (c->r[RSP] - size) & stack_mask(c), linear;

	if (!data_linear(c, SS, rsp, size, true, &linear) || !mem_write(c, linear, size, v))
		return false;
	set_rsp(c, rsp);
	return true;
}

bool stack_pop(struct cpu *c, unsigned size, u64 *v)
{
	u64 rsp = c->r[RSP] & stack_mask(c), linear;

	if (!data_linear(c, SS, rsp, size, false, &linear) || !mem_read(c, linear, size, v))
		return false;
	set_rsp(c, rsp + size);
	return true;
}

/* ---- faults ---- */

bool fault(struct cpu *c, unsigned vector)
{
	c->fault = (struct fault){ .vector = (u8)vector };
	return false;
}

bool fault_error(struct cpu *c, unsigned vector, u32 error) { return fault_because(c, vector, error, NULL); }

bool fault_because(struct cpu *c, unsigned vector, u32 error, const char *why)
{
	c->fault = (struct fault){ .vector = (u8)vector, .has_error = true, .error = error, .why = why };
	return false;
}

bool fault_target(struct cpu *c)
{
	return gp_because(c, 0,
			  in_64(c) ? "the target is not a canonical address (vol. 1, 3.3.7.1)"
				   : "the target is beyond the limit of the code segment (5.3)");
}
