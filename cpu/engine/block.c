/* SPDX-License-Identifier: MIT */
/* The decode cache. A block is a sequence of operations decoded from one physical page for one mode. Execution
 * enters it only at its start, and can leave it in its middle (at a conditional jump that is taken). Blocks contain no
 * linear addresses: r[RIP] has the address of the present run.
 *
 *     ops:  [guard] insn  insn  jcc  insn ... [end]        end: goes on in the next block; absent after an unconditional transfer
 *     an instruction that crosses into the next page has a block of its own, with a first operation that checks where that page is
 *
 * Single blocks are not freed. A block whose bytes change gets a first operation that leads to a new lookup. When the
 * arena is full, all blocks are discarded. */
#include <stdlib.h>
#include "mem/base/compat/memory.h"
#include "cpu/engine/guard.h"
#include "cpu/extended.h"
#include "cpu/system/vm/guest.h"
#include "cpu/engine/passes.h"
#include "cpu/engine/stitch.h"
#include "cpu/hook.h"
#include "cpu/insn/flow.h"
#include "cpu/jump.h"
#include "cpu/observe.h"
#include "mem/pages.h"

enum { MAX_INSNS = 96, MAX_OPS = 2 * MAX_INSNS + 5, OPS_EACH = 7 /* of an instruction at most */,
	ARENA_OPS = VCPU_CHECKS ? 1 << 12 : 1 << 20, HASH_BITS = VCPU_CHECKS ? 4 : 16, FOUND_BITS = VCPU_CHECKS ? 3 : 15,
        PAGE_BITS = VCPU_CHECKS ? 4 : 12 };
#define NO_PAGE (~(u64)0)

struct block {
	u64 phys, phys2;             /* first byte; page of the part beyond the page end, NO_PAGE: none */
	u16 mode;                    /* the mode's number */
	u16 count;                   /* operations */
	u16 bytes, room;             /* room: distance to CS's limit, if the block ends there; else 0 */
	struct block *hash_next, *page_next[2];
	struct op *ops;
};

struct code_page {
	u64 page;                    /* physical */
	u64 decoded[PAGE_SIZE / 64]; /* bit n: byte n is of a block, present or removed */
	const u8 *flags;             /* the flags of the page of RAM */
	bool alone;                  /* no other physical page is the same RAM, and no processor monitors it */
	struct block *blocks;
	struct code_page *next;
};

/* Blocks found lately: one access instead of two or three, each of which misses the host's cache. Blocks that need a
 * check of CS's limit or of a second page are not here. */
struct found {
	u64 tag;                     /* block_tag; 0: none */
	struct op *ops;
};

struct blocks {
	struct op *arena;
	struct stitch *stitch;       /* NULL: the interpreter alone */
	size_t used;
	struct block *pool;
	size_t pool_used;
	struct extended *extended;   /* programs of operations; NULL: the model has no APX */
	size_t extended_used;
	struct block *hash[1 << HASH_BITS];
	struct found found[1 << FOUND_BITS];
	struct code_page *pages[1 << PAGE_BITS];
	struct block_counts counts;  /* flushes: the generation. code_bytes: without what there is now */
	/* the block found last is in the cache, so that other lookups can find it */
	bool kept;
};

/* A block has at least two operations. */
enum { POOL_BLOCKS = ARENA_OPS / 4, EXTENDED_OPS = ARENA_OPS / 8 };

bool blocks_new(struct cpu *c, const struct cpu *with, bool stitched)
{
	struct blocks *b = with ? with->blocks : pages_new(sizeof *b);

	c->blocks = b;
	if (with || !b)
		return b;
	if (stitched)
		b->stitch = stitch_new(ARENA_OPS, &b->arena);
	if (!b->stitch)
		b->arena = aligned_new(64, ARENA_OPS * sizeof *b->arena);
	b->pool = malloc(POOL_BLOCKS * sizeof *b->pool);
	if (has(c->model, F_APX))
		b->extended = malloc(EXTENDED_OPS * sizeof *b->extended);
	return b->arena && b->pool && (b->extended || !has(c->model, F_APX));
}

static struct code_page **page_slot(struct blocks *b, u64 page)
{
	struct code_page **at =
		&b->pages[(page >> PAGE_SHIFT ^ page >> (PAGE_SHIFT + PAGE_BITS)) & ((1 << PAGE_BITS) - 1)];

	while (*at && (*at)->page != page)
		at = &(*at)->next;
	return at;
}

/* The flag byte of the RAM page at physical PAGE, or NULL. */
static u8 *page_flags(struct cpu *c, u64 page)
{
	u64 end;
	const struct range *r = space_find(c->mem, page, &end);

	return r && r->kind == RANGE_RAM ? &r->ram->pages[(r->ram_offset + (page - r->base)) >> PAGE_SHIFT] : NULL;
}

/* RAM can be mapped at several physical addresses, as a ROM is below 1 MiB and below 4 GiB. Iterates over the pages
 * that are the same RAM as PAGE, PAGE first. *AT is the iterator; it begins as 0. */
static bool alias(struct cpu *c, u64 page, unsigned *at, u64 *out)
{
	const struct range *r = space_find(c->mem, page, NULL), *q;
	u64 offset;

	*out = page;
	if (*at == 0) {
		*at = 1;
		return true;
	}
	if (!r || r->kind != RANGE_RAM)
		return false;
	offset = r->ram_offset + (page - r->base);
	while (*at <= c->mem->count) {
		q = &c->mem->ranges[(*at)++ - 1];
		*out = q->base + (offset - q->ram_offset);
		if (q->kind == RANGE_RAM && q->ram == r->ram && offset - q->ram_offset < q->size && *out != page &&
		    !(*out & ~PAGE_MASK))
			return true;
	}
	return false;
}

static bool has_alias(struct cpu *c, u64 page)
{
	unsigned at = 1;
	u64 other;

	return alias(c, page, &at, &other);
}

/* MONITOR's lines, of 64 bytes (CPUID leaf 5). Their pages are marked like those of code, so that writes are
 * reported. */
enum { MONITOR_LINE = 64 };

static bool monitored(const struct cpu *c, u64 page)
{
	for (unsigned i = 0; i < c->all->count; i++)
		if (c->all->cpu[i]->monitor_armed && (c->all->cpu[i]->monitor_phys & PAGE_MASK) == page)
			return true;
	return false;
}

static void page_mark(struct cpu *c, u64 page)
{
	u8 *flags = page_flags(c, page);
	u64 other;

	if (flags)
		*flags |= PAGE_CODE;
	for (unsigned at = 0; alias(c, page, &at, &other);)
		for (unsigned i = 0; i < c->all->count; i++)
			tlb_protect(c->all->cpu[i], other);
}

void monitor_watch(struct cpu *c)
{
	struct code_page *p = *page_slot(c->blocks, c->monitor_phys & PAGE_MASK);

	if (p)
		p->alone = false;
	if (page_flags(c, c->monitor_phys & PAGE_MASK))
		page_mark(c, c->monitor_phys & PAGE_MASK);
	else
		c->monitor_armed = false; /* a device (SDM vol. 2, MONITOR: write-back memory) */
}

static void monitor_written(struct cpu *c, u64 page, unsigned from, unsigned len)
{
	for (unsigned i = 0; i < c->all->count; i++) {
		struct cpu *m = c->all->cpu[i];
		u64 line = m->monitor_phys & ~(u64)(MONITOR_LINE - 1);

		if (m->monitor_armed && page + from < line + MONITOR_LINE && line < page + from + len) {
			m->monitor_armed = false;
			cpu_attention(m);
		}
	}
}

/* PAGE has no blocks any more: clear its mark. */
static void page_forget(struct cpu *c, u64 page)
{
	u8 *flags = page_flags(c, page);
	u64 other;

	for (unsigned at = 0; alias(c, page, &at, &other);)
		if (*page_slot(c->blocks, other) || monitored(c, other))
			return;
	if (flags)
		*flags &= (u8)~PAGE_CODE;
}

void blocks_flush(struct cpu *c)
{
	struct blocks *b = c->blocks;

	for (unsigned i = 0; i < ARRAY_LEN(b->pages); i++)
		while (b->pages[i]) {
			struct code_page *p = b->pages[i];
			u64 page = p->page;

			b->pages[i] = p->next;
			free(p);
			page_forget(c, page);
		}
	memset(b->hash, 0, sizeof b->hash);
	memset(b->found, 0, sizeof b->found);
	if (b->stitch) {
		b->counts.code_bytes += stitch_size(b->stitch);
		stitch_reset(b->stitch, b->used);
	}
	b->used = b->pool_used = b->extended_used = 0;
	b->counts.flushes++;
	for (unsigned i = 0; i < c->all->count; i++)
		jumps_flush(c->all->cpu[i]);
}

void blocks_free(struct cpu *c)
{
	struct blocks *b = c->blocks;

	if (!b)
		return;
	for (unsigned i = 0; i < ARRAY_LEN(b->pages); i++)
		while (b->pages[i]) {
			struct code_page *p = b->pages[i];

			b->pages[i] = p->next;
			free(p);
		}
	if (b->stitch)
		stitch_free(b->stitch);
	else
		aligned_free(b->arena);
	free(b->extended);
	free(b->pool);
	pages_free(b, sizeof *b);
}

u64 blocks_generation(const struct cpu *c) { return c->blocks->counts.flushes; }
bool blocks_kept(const struct cpu *c) { return c->blocks->kept; }
bool blocks_stitched(const struct cpu *c) { return c->blocks->stitch; }

struct block_counts blocks_counts(const struct cpu *c)
{
	struct block_counts counts = c->blocks->counts;

	if (c->blocks->stitch)
		counts.code_bytes += stitch_size(c->blocks->stitch);
	return counts;
}

void block_link(struct cpu *c, struct op *jump, const struct op *target)
{
	jump->target = target;
	if (jump->code == CODE_STALE) /* it is the first operation of a removed block, no jump */
		return;
	jump->cost = target->left - (jump->left ? jump->left - 1 : 0);
	c->blocks->counts.links++;
	if (c->blocks->stitch)
		stitch_link(c->blocks->stitch, jump);
}

void block_hot(struct cpu *c, struct op *counter)
{
	if (stitch_block(c->blocks->stitch, counter, c->all->verified))
		c->blocks->counts.stitched++;
	else
		blocks_flush(c);
}

/* Physical addresses have at most 52 bits, and numbers of modes 12. */
static u64 block_tag(u64 phys, u16 mode) { return phys | (u64)mode << 52; }
static u64 block_hash(u64 phys, u16 mode) { return (phys ^ (u64)mode << 32) * 0x9e3779b97f4a7c15; }

static struct block **hash_slot(struct blocks *b, u64 phys, u16 mode)
{
	return &b->hash[block_hash(phys, mode) >> (64 - HASH_BITS)];
}

static struct found *found_slot(struct blocks *b, u64 phys, u16 mode)
{
	return &b->found[block_hash(phys, mode) >> (64 - FOUND_BITS)];
}

/* ---- building ---- */

static bool conditional(const struct dec *d)
{
	return d->row && dec_kind(d, 0) == OPK_J && d->row->insn->code != CODE_jmp && d->row->insn->code != CODE_call;
}

static bool direct(const struct dec *d) { return d->row && dec_kind(d, 0) == OPK_J; }

struct source {
	const u8 *bytes;
	unsigned room;               /* bytes that may be decoded */
	unsigned offset;             /* offset of the first byte in its page */
	unsigned max;                /* instructions */
	bool limited;                /* room ends at CS's limit, not at the page's end */
	u64 phys;                    /* of the first byte */
	/* physical page of the bytes beyond the page's end, if the block must check it; else NO_PAGE */
	u64 crossing;
};

/* Do blocks of MODE become machine code when they are hot? Then they begin with a counter. */
static bool stitches(const struct cpu *c, u64 mode)
{
	/* With a call at each instruction the interpreter is faster: it has the registers where the call wants them. */
	return c->blocks->stitch && !(mode & MODE_SINGLE) && !(c->all->hooks && c->all->hooks->each_insn);
}

/* The operation that calls the hooks of blocks and edges at the beginning of a block. */
static struct op entry_hook(const struct cpu *c, const struct source *s)
{
	const u32 kind = hooked(c, HOOK_BLOCK) ? HOOK_BLOCK : HOOK_EDGE;
	const struct hook *k = hook_alone(c, kind, hook_wanted(c, kind, s->offset, s->phys, 0));

	return (struct op){ .run = !k ? hooked_enter
				  : kind == HOOK_EDGE ? (k->map ? hooked_edge_counted : hooked_edge_alone)
						      : (k->map               ? hooked_block_counted
						         : hook_everywhere(k) ? hooked_block_alone
									      : hooked_block_ranged),
			    .hook = k };
}

/* Make the operations before the first instruction. Returns their number. */
static unsigned begin(const struct cpu *c, const struct source *s, struct dec *d, struct op *o)
{
	unsigned count = 0;

	if (stitches(c, c->mode)) {
		d[count] = (struct dec){ 0 };
		stitch_counter(c->blocks->stitch, &o[count++], c->all->hot_after);
	}
	if (s->crossing != NO_PAGE) {
		d[count] = (struct dec){ 0 };
		o[count++] = (struct op){ .run = check_crossing, .imm = (s64)s->crossing };
	}
	if (unlikely(observed_offset(c->all->observer, s->offset))) {
		d[count] = (struct dec){ 0 };
		o[count++] = (struct op){ .run = observed_point, .imm = (s64)s->phys };
	}
	if (unlikely(observed_magic(c->all->observer, c->mode & MODE_BITS, s->bytes, s->room))) {
		d[count] = (struct dec){ 0 };
		o[count++] = (struct op){ .run = magic_point };
	}
	if (unlikely(c->mode & MODE_LBR)) {
		d[count] = (struct dec){ 0 };
		o[count++] = (struct op){ .run = branch_target };
	}
	if (hooked(c, HOOK_BLOCK | HOOK_EDGE) &&
	    (hook_wanted(c, HOOK_BLOCK, s->offset, s->phys, 0) || hooked(c, HOOK_EDGE))) {
		d[count] = (struct dec){ 0 };
		o[count++] = entry_hook(c, s);
	}
	return count;
}

/* Is there a point that stops before the instruction at IP? Then a block begins there. */
static bool point_at(const struct cpu *c, const struct source *s, unsigned ip)
{
	return observed_offset(c->all->observer, s->offset + ip) ||
		observed_magic(c->all->observer, c->mode & MODE_BITS, s->bytes + ip, s->room - ip);
}

/* Put an operation that RUNs before the instruction in D and O, at IP. The instruction moves up by one. */
static void put_before(struct dec *d, struct op *o, handler *run, s64 imm, unsigned ip)
{
	d[1] = d[0];
	o[1] = o[0];
	d[0].row = NULL;
	d[0].extended = false;
	o[0] = (struct op){ .run = run, .imm = imm, .ip = ip & OP_IP_MAX, .len = o[1].len, .osize = o[1].osize };
}

/* May the instruction exit from a guest? What VMX adds is asked in its host, too. */
static bool may_exit(const struct insn *insn, u64 mode)
{
	return (unlikely(mode & MODE_GUEST) && insn->vmexit) || (unlikely(mode & MODE_SVM_GUEST) && insn->intercept) ||
	       insn->check & CHK_VMX;
}

/* May it transfer control? Others end a block, too: what changes the mode, for instance. */
static bool branches(const struct dec *d)
{
	if (!d->row || !d->row->insn->ends)
		return d->row && conditional(d);
	switch (d->row->insn->code) {
	case CODE_int: case CODE_int1: case CODE_int3: case CODE_into: case CODE_iret: case CODE_syscall:
	case CODE_sysret: case CODE_sysenter: case CODE_sysexit: case CODE_rsm: case CODE_vmlaunch: case CODE_vmresume:
	case CODE_xbegin:
		return true;
	default:
		return d->row->insn->f64 || d->row->insn->pg == CONTROL || direct(d);
	}
}

/* Of a branch, for LBR_SELECT. */
static enum branch kind_of(const struct dec *d)
{
	if (d->row->insn->pg == CONTROL)
		return BRANCH_FAR;
	switch (d->row->insn->code) {
	case CODE_call: return direct(d) ? BRANCH_CALL : BRANCH_CALL_INDIRECT;
	case CODE_jmp: return direct(d) ? BRANCH_JMP : BRANCH_JMP_INDIRECT;
	case CODE_ret: return BRANCH_RET;
	default: return direct(d) ? BRANCH_JCC : BRANCH_FAR;
	}
}

/* Bytes of the operand in memory that the instruction changes with the bus locked, and LOCKS_BITS; 0: there is none. */
static u32 locks(const struct dec *d, const struct op *o)
{
	const struct insn *insn = d->row->insn;

	if (!o->mem || !(d->lock || insn->code == CODE_xchg) || !insn->lock)
		return 0;
	switch (insn->code) {
	case CODE_cmpxchg8b: return 8;
	case CODE_cmpxchg16b: return 16;
	case CODE_bts: case CODE_btr: case CODE_btc:
		return dec_size(d, 0) | (dec_kind(d, 1) == OPK_G ? LOCKS_BITS : 0);
	default: return dec_size(d, dec_is_mem(d, 0) ? 0 : 1);
	}
}

/* Put the checks before the instruction in D and O, and what counts it. Returns the number of operations. */
static unsigned put_guards(const struct cpu *c, struct dec *d, struct op *o, unsigned ip)
{
	const struct insn *insn = d->row && !d->raises ? d->row->insn : NULL;
	bool exits = insn && may_exit(insn, c->mode);
	u32 checks = insn ? guard_checks(insn->check, c->mode) : 0;
	bool counts = unlikely(c->mode & MODE_BRANCHES) && insn && branches(d);
	bool noted = unlikely(c->mode & MODE_LBR) && insn && branches(d);
	unsigned n = (checks != 0) + exits;

	if (exits)
		put_before(d, o, guest_guard, insn->vmexit | insn->intercept << 8 | d->opcode << 16 |
			   (checks ? GUARDED : 0) | (d->extended ? GUARDS_EXTENDED : 0), ip);
	if (checks)
		put_before(d + exits, o + exits, checks & ~(u32)(CHK_MF | CHK_MMX) ? guard : guard_mf, checks, ip);
	if (counts)
		put_before(d + n, o + n, count_branch, 0, ip), n++;
	if (noted)
		put_before(d + n, o + n, note_branch, kind_of(d + n), ip), n++;
	if (unlikely(c->mode & MODE_BUS_LOCK) && insn && locks(d + n, o + n)) {
		put_before(d + n, o + n, bus_lock_guard, locks(d + n, o + n) | (d[n].extended ? LOCKS_EXTENDED : 0), ip);
		n++;
	}
	return n;
}

/* Put what hooks ask for before the instruction in D and O. Returns the number of operations. */
static unsigned put_hooks(const struct cpu *c, const struct source *s, struct dec *d, struct op *o, unsigned ip)
{
	const unsigned code = d->row ? d->row->insn->code : CODE_NONE;
	const struct hook *k;
	unsigned n = 0;

	if (hooked(c, HOOK_INSN) && (k = hook_wanted(c, HOOK_INSN, s->offset + ip, s->phys + ip, code))) {
		put_before(d, o, !hook_alone(c, HOOK_INSN, k) ? hooked_insn
			   : hook_everywhere(k)               ? hooked_insn_alone
							      : hooked_insn_ranged, 0, ip);
		o[n].hook = k;
		o[n++].disp = (s32)code;
	}
	if (hooked(c, HOOK_EDGE) && branches(d + n))
		put_before(d + n, o + n, hooked_branch, 0, ip), n++;
	return n;
}

/* Conditional jump D, O at IP may become one step with the operation before it, which does INSNS instructions, changes
 * registers alone and goes on in any case: then the hooks of edges are told of the jump before both. */
static bool put_branch_first(const struct cpu *c, struct dec *d, struct op *o, unsigned ip, unsigned insns)
{
	const struct insn *a = insns && d[-1].row ? d[-1].row->insn : NULL;

	if (!hooked(c, HOOK_EDGE) || hooked(c, HOOK_INSN) || !a || !a->fuse || !a->pure || d[-1].raises || d[-1].mem ||
	    d[-1].lock || !d->row || d->raises || !conditional(d))
		return false;
	memmove(d, d - 1, 2 * sizeof *d);
	memmove(o, o - 1, 2 * sizeof *o);
	d[-1] = (struct dec){ 0 };
	o[-1] = (struct op){ .run = hooked_branch, .imm = insns, .disp = (s32)(ip - o->ip), .ip = o->ip,
			     .len = o[1].len };
	return true;
}

/* Put what comes before the instruction COUNT in D and O, at IP. COUNTS: instructions that each operation does. Returns
 * where the instruction is then. */
static unsigned put_ahead(const struct cpu *c, const struct source *s, struct dec *d, struct op *o, u8 *counts,
			  unsigned count, unsigned ip)
{
	if (count && put_branch_first(c, &d[count], &o[count], ip, counts[count - 1])) {
		counts[count] = counts[count - 1];
		counts[count++ - 1] = 0;
	} else {
		for (unsigned before = put_hooks(c, s, &d[count], &o[count], ip); before; before--)
			counts[count++] = 0;
	}
	for (unsigned before = put_guards(c, &d[count], &o[count], ip); before; before--)
		counts[count++] = 0;
	return count;
}

/* One hook of memory alone, an observer: moves call it themselves. */
static COLD void hook_moves(const struct cpu *c, struct op *o, unsigned count)
{
	const struct hook *k = c->all->hooks->accesses;

	for (unsigned i = 0; k && k->observer && !k->after && !k->physical && i < count; i++)
		o[i].run = hooked_move(o[i].run, k);
}

/* Where direct jump O goes, from its end, IP. */
static void aim(const struct cpu *c, const struct source *s, struct dec *d, struct op *o, unsigned ip)
{
	s64 target = (s64)ip + o->imm;

	if (unlikely((target > INT32_MAX || d->osize == 2) && d->bits == 64)) {
		flow_beyond(d, o);
		d->row = NULL; /* ends the block */
		return;
	}
	o->disp = (s32)target;
	o->target = NULL;
	o->in_page = !(c->mode & (MODE_SINGLE | MODE_LIMIT)) && target + s->offset >= 0 &&
		     target + s->offset < PAGE_SIZE;
}

/* Decode into D and O. Returns the number of operations; *BYTES gets the length. 0: the first instruction needs more
 * bytes than there are. */
static unsigned build(struct cpu *c, const struct source *s, struct dec *d, struct op *o, unsigned *bytes)
{
	unsigned ip = 0, insns = 0, left = 0, count = begin(c, s, d, o);
	u8 counts[MAX_OPS] = { 0 };  /* instructions that an operation does */
	/* covered: for coverage, and records of branches, a block ends at a branch; again: this one goes back to the
	 * start. A loop is a block of its own, so that the code behind it takes no host registers from it */
	bool open = true, branch = false, again;
	bool covered = (c->all->observer && c->all->observer->built) || hooked(c, HOOK_BLOCK | HOOK_EDGE) ||
		       c->mode & MODE_LBR;

	while (insns < s->max && open && ip <= OP_IP_MAX - EARLY_BYTES && count + OPS_EACH + 2 < MAX_OPS &&
	       !(insns && unlikely(point_at(c, s, ip)))) {
		enum decode_result r =
			decode(c->isa, c->model, c->mode, s->bytes + ip, s->room - ip, &d[count], &o[count]);

		if (r == DECODE_MORE && (insns || !s->limited)) {
			if (!insns)
				return 0;
			break;
		}
		if (r == DECODE_MORE || r == DECODE_LONG) { /* beyond the limit, or longer than 15 bytes: #GP(0) */
			decode_fault(&o[count], r == DECODE_LONG ? RAISE_GP_LONG : RAISE_GP_LIMIT);
			/* the bytes that the decision depends on: a write to them voids it */
			o[count].len = (u8)(s->room - ip < 15 ? s->room - ip : 15);
			d[count] = (struct dec){ 0 };
		}
		count = put_ahead(c, s, d, o, counts, count, ip);
		o[count].ip = ip & OP_IP_MAX;
		ip += o[count].len;
		if (o[count].mem && o[count].base == 8 * RIP)
			o[count].disp += (s32)ip;
		if (direct(&d[count]))
			aim(c, s, &d[count], &o[count], ip);
		open = d[count].row && (conditional(&d[count]) || !d[count].row->insn->ends);
		branch = d[count].row && conditional(&d[count]);
		again = branch && direct(&d[count]) && !o[count].disp;
		insns++;
		counts[count] = 1;
		if (unlikely(d[count].extended) && !d[count].raises) {
			extended_make(c->isa, &d[count], &o[count], &c->blocks->extended[c->blocks->extended_used++]);
			d[count].row = NULL; /* nothing that passes know of */
		}
		if (count && s->max > 1 && pass_merge(&d[count - 1], &o[count - 1], &d[count], &o[count])) {
			count--;
			d[count] = d[count + 1];
			o[count] = o[count + 1];
			counts[count]++;
		}
		count++;
		if (ip >= s->room || again || (branch && unlikely(covered)))
			break;
	}
	if (!(c->mode & MODE_SINGLE))
		passes(d, o, count, c->blocks->stitch);
	if (hooked(c, HOOK_MEMORY))
		hook_moves(c, o, count);
	if (open && !branch && hooked(c, HOOK_BLOCK | HOOK_EDGE)) {
		o[count] = (struct op){ .run = hooked_straight, .ip = ip & OP_IP_MAX };
		d[count] = (struct dec){ 0 };
		counts[count++] = 0;
	}
	if (open) {
		flow_end(&o[count], c->mode, ip, !has(c->model, F_I286));
		o[count].in_page = !(c->mode & (MODE_SINGLE | MODE_LIMIT)) && ip + s->offset < PAGE_SIZE;
		d[count] = (struct dec){ 0 };
		counts[count++] = 0;
	}
	for (unsigned i = count; i-- > 0;) {
		left += counts[i];
		o[i].left = (u8)left;
		if (unlikely(d[i].extended) && !d[i].raises)
			extended_settle(&o[i]);
	}
	if (stitches(c, c->mode))
		o[0].disp = (s32)count;
	*bytes = ip;
	check_block(d, o, count, ip);
	return count;
}

static bool note_page(struct cpu *c, struct block *block, int which, u64 page, unsigned from, unsigned len)
{
	struct blocks *b = c->blocks;
	struct code_page **at = page_slot(b, page), *p = *at;

	if (!p) {
		p = calloc(1, sizeof *p);
		if (!p)
			return false;
		p->page = page;
		p->flags = page_flags(c, page);
		p->alone = p->flags && !has_alias(c, page) && !monitored(c, page);
		*at = p;
		page_mark(c, page);
	}
	if (p->blocks != block) { /* if it is, both parts of the block are in this page */
		block->page_next[which] = p->blocks;
		p->blocks = block;
	}
	for (unsigned i = from; i < from + len; i++)
		p->decoded[i / 64] |= (u64)1 << i % 64;
	for (unsigned i = 0; i < c->all->count; i++)
		tlb_protect_granules(c->all->cpu[i], from, len);
	return true;
}

static void read_bytes(struct cpu *c, const u8 *host, u64 phys, u8 *out, unsigned len)
{
	if (host) {
		memcpy(out, host, len);
		return;
	}
	cpu_sync(c); /* a device may be there */
	for (unsigned i = 0; i < len; i++)
		out[i] = (u8)space_read(c->mem, phys + i, 1);
}

/* Count a block of COUNT operations and BYTES bytes, which is kept. */
static void count_block(struct cpu *c, unsigned count, unsigned bytes)
{
	struct block_counts *counts = &c->blocks->counts;

	if (c->mode & MODE_SINGLE) {
		counts->single++;
		return;
	}
	counts->built[c->mode & MODE_BITS]++;
	counts->ops += count - stitches(c, c->mode);
	counts->bytes += bytes;
}

static const struct op *block_build(struct cpu *c, u64 linear, u64 phys, const u8 *host)
{
	struct blocks *b = c->blocks;
	struct dec d[MAX_OPS];
	const unsigned window = decode_window(c->model);
	unsigned offset = linear & (PAGE_SIZE - 1), room = PAGE_SIZE - offset, count, bytes;
	bool crossing = false;
	struct source s = { host, room, offset, c->mode & MODE_SINGLE ? 1 : MAX_INSNS, false, phys, NO_PAGE };
	u8 copy[CROSSING_BYTES], *host2 = NULL;
	u64 phys2 = 0, to_limit = (u64)c->seg[CS].limit - c->r[RIP] + 1;
	struct block *block;
	struct op *o;

	if (b->used + MAX_OPS > ARENA_OPS || b->pool_used == POOL_BLOCKS ||
	    (b->extended && b->extended_used + 2 * MAX_INSNS > EXTENDED_OPS))
		blocks_flush(c);
	o = b->arena + b->used;
	if (!in_64(c) && to_limit < s.room) {
		s.room = (unsigned)to_limit;
		s.limited = true;
	}
	/* the instruction may wrap at the end of the segment: a block alone, never kept */
	if (!has(c->model, F_I286) && to_limit < window) {
		read_bytes(c, host, phys, copy, (unsigned)to_limit);
		read_bytes(c, NULL, c->cs_base, copy + to_limit, window - (unsigned)to_limit);
		s = (struct source){ copy, window, offset, 1, false, phys, NO_PAGE };
		host = NULL;
	} else if (!host) { /* a device: one instruction, byte by byte, never kept */
		if (s.room > sizeof copy)
			s.room = sizeof copy;
		read_bytes(c, NULL, phys, copy, s.room);
		s.bytes = copy;
	}
	count = build(c, &s, d, o, &bytes);
	if (!count) { /* the first instruction continues in the next page */
		unsigned first = room < window ? room : window;

		if (!tlb_fetch(c, (linear + first) & c->linear_mask, &host2, &phys2))
			return NULL;
		if (!host2 && missing_matters(c, HOOK_MISSING_FETCH) &&
		    !hook_fetch(c, (linear + first) & c->linear_mask, phys2))
			return NULL;
		memset(copy, 0, sizeof copy);
		read_bytes(c, host, phys, copy, first);
		read_bytes(c, host2, phys2, copy + first, window - first);
		crossing = true;
		s = (struct source){ copy, window, offset, 1, false, phys, host2 ? phys2 & PAGE_MASK : NO_PAGE };
		if (!in_64(c) && to_limit < window) {
			s.room = (unsigned)to_limit;
			s.limited = true;
		}
		count = build(c, &s, d, o, &bytes);
		if (!count)
			return NULL; /* cannot happen: an instruction has no more bytes than the window */
	}
	if (unlikely(c->all->observer && c->all->observer->built))
		c->all->observer->built(c->all->observer->owner, linear, bytes);
	b->kept = host && (!crossing || host2);
	if (!b->kept) {
		if (stitches(c, c->mode))
			o[0].imm = INT64_MAX; /* it runs once */
		b->used += count;
		return o;
	}
	b->used += (count + 1) & ~(size_t)1;
	block = &b->pool[b->pool_used++];
	count_block(c, count, bytes);
	*block = (struct block){ .phys = phys, .mode = c->mode_number, .count = (u16)count, .bytes = (u16)bytes,
		.ops = o,
		.room = s.limited ? (u16)s.room : 0, .phys2 = crossing ? phys2 & PAGE_MASK : NO_PAGE };
	if (!note_page(c, block, 0, phys & PAGE_MASK, offset, bytes < room ? bytes : room) ||
	    (crossing && bytes > room && !note_page(c, block, 1, phys2 & PAGE_MASK, 0, bytes - room))) {
		b->kept = false; /* the host is out of memory: writes to the code would not be noticed */
		return o;
	}
	block->hash_next = *hash_slot(b, phys, c->mode_number);
	*hash_slot(b, phys, c->mode_number) = block;
	return o;
}

static void block_remove(struct cpu *c, struct block *block)
{
	struct block **at = hash_slot(c->blocks, block->phys, block->mode);
	struct found *found = found_slot(c->blocks, block->phys, block->mode);

	if (found->tag == block_tag(block->phys, block->mode))
		found->tag = 0;
	c->blocks->counts.stale++;
	while (*at && *at != block)
		at = &(*at)->hash_next;
	if (*at)
		*at = block->hash_next;
	if (c->blocks->stitch)
		stitch_forget(c->blocks->stitch, &block->ops[0], stale);
	block->ops[0].run = stale;
	block->ops[0].code = CODE_STALE;
	block->ops[0].target = NULL;
}

const struct op *block_find(struct cpu *c)
{
	u64 rip = c->r[RIP], linear = (rip + c->cs_base) & c->linear_mask, phys, phys2;
	/* no block of one page reaches beyond */
	bool unlimited = in_64(c) || (c->seg[CS].limit == 0xffffffff && !c->cs_base);
	struct block *block;
	struct found *found;
	u8 *host, *host2;

	if (in_64(c) ? !canonical(c, rip) : rip > c->seg[CS].limit) {
		fault_target(c);
		return NULL;
	}
	if (!tlb_fetch(c, linear, &host, &phys))
		return NULL;
	if (unlikely(c->all->observer && c->all->observer->executed)) {
		bloom_add(c->all->observer->executed, linear >> PAGE_SHIFT);
		bloom_add(c->all->observer->executed, ~(phys >> PAGE_SHIFT));
	}
	if (!host) {
		if (missing_matters(c, HOOK_MISSING_FETCH) && !hook_fetch(c, linear, phys))
			return NULL;
		return block_build(c, linear, phys, NULL);
	}
	found = found_slot(c->blocks, phys, c->mode_number);
	if (likely(found->tag == block_tag(phys, c->mode_number) && unlimited)) {
		c->blocks->kept = true;
		return found->ops;
	}
	for (block = *hash_slot(c->blocks, phys, c->mode_number); block; block = block->hash_next)
		if (block->phys == phys && block->mode == c->mode_number)
			break;
	if (!block)
		return block_build(c, linear, phys, host);
	c->blocks->kept = true;
	/* Was it made for another limit of CS? */
	if (!in_64(c) && (block->room ? block->room != (u64)c->seg[CS].limit - rip + 1
				      : block->bytes > (u64)c->seg[CS].limit - rip + 1)) {
		block_remove(c, block);
		return block_build(c, linear, phys, host);
	}
	if (block->phys2 != NO_PAGE) {
		if (!tlb_fetch(c, ((linear | (PAGE_SIZE - 1)) + 1) & c->linear_mask, &host2, &phys2))
			return NULL;
		if ((phys2 & PAGE_MASK) != block->phys2 || !host2) {
			block_remove(c, block);
			return block_build(c, linear, phys, host);
		}
	} else if (!block->room) {
		*found = (struct found){ block_tag(phys, c->mode_number), block->ops };
	}
	return block->ops;
}

#if VCPU_CHECKS
bool block_known(struct cpu *c, const struct op *o)
{
	const struct blocks *b = c->blocks;
	u64 linear = (c->r[RIP] + c->cs_base) & c->linear_mask;
	const struct tlb_code *t = &code_view(c)->code[linear >> PAGE_SHIFT & (TLB_SIZE - 1)];

	if (o < b->arena || o >= b->arena + b->used || t->valid == TLB_NONE ||
	    (t->valid & PAGE_MASK) != (linear & PAGE_MASK))
		return false;
	for (size_t i = b->pool_used; i-- > 0;)
		if (b->pool[i].ops == o)
			return b->pool[i].mode == c->mode_number &&
			       b->pool[i].phys == (t->phys | (linear & (PAGE_SIZE - 1)));
	return false;
}
#endif

/* ---- invalidation ---- */

static bool overlaps(const struct block *block, u64 page, unsigned from, unsigned len)
{
	unsigned start = block->phys & (PAGE_SIZE - 1), end = start + block->bytes;

	if ((block->phys & PAGE_MASK) == page && from < end && from + len > start)
		return true;
	return block->phys2 == page && end > PAGE_SIZE && from < end - PAGE_SIZE; /* its second part */
}

void blocks_at(const struct cpu *c, u64 phys, void (*each)(void *owner, const struct block_view *b), void *owner)
{
	struct blocks *b = c->blocks;
	const u64 page = phys & PAGE_MASK;
	const struct code_page *p = *page_slot(b, page);
	const struct block *next;

	for (const struct block *block = p ? p->blocks : NULL; block; block = next) {
		u64 mode = c->all->modes[block->mode];
		struct block_view view = { block->phys, mode, block->bytes, block->count, block->ops,
			stitches(c, mode) && stitch_done(b->stitch, block->ops) ? block->ops : NULL };

		next = block->page_next[(block->phys & PAGE_MASK) == page ? 0 : 1];
		if (block->ops->code != CODE_STALE && overlaps(block, page, phys & (PAGE_SIZE - 1), 1))
			each(owner, &view);
	}
}

const u8 *block_code(const struct cpu *c, const struct block_view *b, const struct op *o, unsigned *size)
{
	return b->stitched ? stitch_code(c->blocks->stitch, b->stitched, o, size) : NULL;
}

static bool decoded(const struct code_page *p, unsigned from, unsigned len)
{
	for (unsigned end = from + len; from < end; from = (from | 63) + 1) {
		u64 bits = p->decoded[from / 64] >> from % 64;

		if (end - from < 64)
			bits &= ((u64)1 << (end - from)) - 1;
		if (bits)
			return true;
	}
	return false;
}

bool code_spares(const struct cpu *c, u64 page, unsigned offset, unsigned len)
{
	const struct code_page *p = *page_slot(c->blocks, page);

	return p && p->alone && !c->all->remapped && (*p->flags & (PAGE_DIRTY | PAGE_WATCH)) == PAGE_DIRTY &&
	       !decoded(p, offset, len);
}

static void page_written(struct cpu *c, u64 page, unsigned from, unsigned len)
{
	struct code_page **at = page_slot(c->blocks, page), *p = *at;
	struct block **link;
	bool touched = false;

	monitor_written(c, page, from, len);
	if (!p) {
		page_forget(c, page);
		return;
	}
	for (unsigned i = from; i < from + len; i++) {
		touched |= p->decoded[i / 64] >> i % 64 & 1;
		p->decoded[i / 64] &= ~((u64)1 << i % 64); /* the blocks with this byte are removed below */
	}
	if (!touched)
		return;
	for (link = &p->blocks; *link;) {
		struct block *block = *link;
		int which = (block->phys & PAGE_MASK) == page ? 0 : 1;

		if (overlaps(block, page, from, len)) {
			*link = block->page_next[which];
			block_remove(c, block);
			cpus_running(c->all)->attn |= ATTN_CODE;
		} else {
			link = &block->page_next[which];
		}
	}
	if (!p->blocks) {
		*at = p->next;
		free(p);
		page_forget(c, page);
	}
}

void cpu_code_written(void *cpu, u64 phys, unsigned len)
{
	struct cpu *c = cpu;

	while (len) {
		unsigned from = phys & (PAGE_SIZE - 1), part = len < PAGE_SIZE - from ? len : PAGE_SIZE - from;
		u64 page;

		for (unsigned at = 0; alias(c, phys & PAGE_MASK, &at, &page);)
			page_written(c, page, from, part);
		phys += part;
		len -= part;
	}
}
