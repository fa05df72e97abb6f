/* SPDX-License-Identifier: MIT */
/* Binary translation as in Adams and Agesen, "A Comparison of Software and Hardware Techniques for x86
 * Virtualization" (ASPLOS 2006). The guest's programs run directly, at CPL 3. Its kernel runs as translations, at
 * CPL 1: of at most 12 instructions, up to a branch. Most instructions translate to themselves. CLI is a store to
 * the virtual IF, PUSH CS a load of the virtual CS. Branches go from translation to translation, and are linked
 * when they are first taken. The other sensitive instructions call out (INT 81h) to the interpreter.
 *
 * The data segments end below the monitor; the translations have GS and CS for themselves, which do not. So the
 * guest must not load a segment by itself, and an instruction with such a prefix calls out.
 *
 * Not here: a kernel that changes its code. Try: translate PUSHF; drop the translations of a page that is written. */
#include "monitor.h"

enum { UNIT_MAX = 12, UNITS = 1024, CACHE = 128 << 10, UNIT_BYTES = 512, HASH = 2048, CALL_OUT = 0x81, NEAR = 256 };
struct unit { u32 guest; u8 *code, *end; u8 n; u16 from[UNIT_MAX], to[UNIT_MAX]; }; /* offsets of each instruction */

static struct unit units[UNITS], *hash[HASH];
static unsigned used;
static u8 cache[CACHE], *free_code = cache;
static u8 interrupts_on;
static struct { u32 identical, translated, guest_bytes, bytes, links; } statistics;

/* For translate_run.S. */
extern u8 indirect_branch[];
u32 branch_target, branches_found, branch_keys[NEAR], branch_values[NEAR];

/* ---- the cache ---- */

static struct unit *find(u32 guest)
{
	for (u32 i = guest % HASH; hash[i]; i = (i + 1) % HASH)
		if (hash[i]->guest == guest)
			return hash[i];
	return NULL;
}

static void empty_cache(void)
{
	used = 0;
	free_code = cache;
	__builtin_memset(hash, 0, sizeof hash);
	__builtin_memset(branch_keys, 0, sizeof branch_keys);
}

/* The guest's address of the instruction whose translation contains AT. *EXACT: it begins there. */
static u32 guest_of(u32 at, bool *exact)
{
	for (unsigned i = 0; i < used; i++) {
		const struct unit *u = &units[i];

		if (at < (u32)u->code || at >= (u32)u->end)
			continue;
		for (unsigned j = u->n; j--;)
			if (at >= (u32)u->code + u->to[j]) {
				*exact = at == (u32)u->code + u->to[j];
				return u->guest + u->from[j];
			}
	}
	*exact = false; /* indirect_branch */
	return 0;
}

/* ---- code ---- */

static u8 *emit(u8 *to, u32 value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		*to++ = (u8)(value >> 8 * i);
	return to;
}

static void link(u8 *displacement, const u8 *target)
{
	emit(displacement, (u32)(target - displacement - 4), 4);
}

/* Behind a unit: the places to which its branches go until their targets are translated. */
static struct { u8 *displacement; u32 guest; } exits[2];
static unsigned n_exits;

static u8 *emit_branch(u8 *to, u32 opcode, unsigned size, u32 guest)
{
	to = emit(to, opcode, size);
	exits[n_exits].displacement = to;
	exits[n_exits++].guest = guest;
	return to + 4;
}

static u8 *emit_exits(u8 *to)
{
	for (unsigned i = 0; i < n_exits; i++) {
		struct unit *u = find(exits[i].guest);

		if (u) {
			link(exits[i].displacement, u->code);
			continue;
		}
		link(exits[i].displacement, to);
		to = emit(to, 0xcd | CALL_OUT << 8 | 'J' << 16, 3);
		to = emit(to, exits[i].guest, 4);
		to = emit(to, (u32)exits[i].displacement, 4);
	}
	n_exits = 0;
	return to;
}

static u8 *emit_call_out(u8 *to, u32 guest)
{
	to = emit(to, 0xcd | CALL_OUT << 8 | 'S' << 16, 3);
	return emit(to, guest, 4);
}

/* ---- translation ---- */

/* It must not run as it is, or has a prefix of a segment that is the translator's. */
static bool is_sensitive(const struct insn *insn)
{
	if (insn->segment == CS || insn->segment == GS)
		return true;
	switch (insn->op) {
	case 0x06: case 0x07: case 0x0e: case 0x16: case 0x17: case 0x1e: case 0x1f: /* PUSH and POP of segments */
	case 0x6c ... 0x6f: /* INS, OUTS */
	case 0x8c: case 0x8e: /* MOV of segments */
	case 0x9a: case 0x9c: case 0x9d: /* CALL far, PUSHF, POPF */
	case 0xc4: case 0xc5: /* LES, LDS */
	case 0xca ... 0xcf: /* RET far, INT, IRET */
	case 0xe4 ... 0xe7: case 0xea: case 0xec ... 0xef: /* IN, OUT, JMP far */
	case 0xf1: case 0xf4: case 0xfb: /* INT1, HLT, STI */
	case 0x100 ... 0x13f: /* descriptors, control registers, MSRs, SYSENTER */
	case 0x1a0: case 0x1a1: case 0x1a8 ... 0x1aa: /* PUSH and POP of FS and GS, RSM */
	case 0x1b2: case 0x1b4: case 0x1b5: /* LSS, LFS, LGS */
		return true;
	case 0xff:
		return insn->reg == 3 || insn->reg == 5; /* CALL, JMP far */
	default:
		return false;
	}
}

/* PUSH, with the operand of CALL or JMP, then POP into branch_target. */
static u8 *emit_indirect(u8 *to, const struct insn *insn, const u8 *bytes, u32 next)
{
	u8 *modrm = to + insn->length;

	if (insn->op == 0xff) {
		bool call = insn->reg == 2;

		for (unsigned i = 0; i < insn->length; i++)
			to[i] = bytes[i];
		for (modrm = to; *modrm != 0xff; modrm++)
			;
		modrm[1] |= 0x30;
		to += insn->length;
		to = emit(emit(to, 0x058f65, 3), (u32)&branch_target, 4);
		if (call)
			to = emit(emit(to, 0x68, 1), next, 4);
	} else {
		to = emit(emit(to, 0x058f65, 3), (u32)&branch_target, 4);
		if (insn->op == 0xc2)
			to = emit(emit(to, 0x24a48d, 3), insn->immediate, 4); /* LEA ESP */
	}
	to = emit(to, 0xe9, 1);
	link(to, indirect_branch);
	return to + 4;
}

/* Translate an instruction at GUEST. False: the unit ends with it. */
static bool translate_insn(u8 **to, const struct insn *insn, const u8 *bytes, u32 guest)
{
	u32 next = guest + insn->length, target = next + insn->immediate;
	u16 op = insn->op;

	if (insn->size == 4 &&
	    (op == 0x06 || op == 0x0e || op == 0x16 || op == 0x1e)) { /* PUSH of a segment: PUSH GS:[selector] */
		*to = emit(emit(*to, 0x35ff65, 3), (u32)&cpu.seg[op >> 3].selector, 4);
		return true;
	}
	if (op == 0x8c && !insn->memory && insn->size == 4 && insn->reg < SEGMENTS) {
		*to = emit(emit(*to, 0x058b65 | (u32)insn->rm << 19, 3), (u32)&cpu.seg[insn->reg].selector, 4);
		return true;
	}
	if (is_sensitive(insn)) {
		*to = emit_call_out(*to, guest);
		return false;
	}
	if (op == 0xfa) {
		*to = emit(emit(emit(*to, 0x05c665, 3), (u32)&interrupts_on, 4), 0, 1);
		return true;
	}
	if ((op >= 0x70 && op < 0x80) || (op >= 0x180 && op < 0x190)) {
		*to = emit_branch(*to, 0x800f | (op & 15u) << 8, 2, target);
		*to = emit_branch(*to, 0xe9, 1, next);
		return false;
	}
	if (op >= 0xe0 && op <= 0xe3) { /* LOOP, JECXZ: over a jump */
		*to = emit(*to, op | 5 << 8, 2);
		*to = emit_branch(*to, 0xe9, 1, next);
		*to = emit_branch(*to, 0xe9, 1, target);
		return false;
	}
	if (op == 0xe8)
		*to = emit(emit(*to, 0x68, 1), next, 4);
	if (op == 0xe8 || op == 0xe9 || op == 0xeb) {
		*to = emit_branch(*to, 0xe9, 1, target);
		return false;
	}
	if (op == 0xc2 || op == 0xc3 || (op == 0xff && (insn->reg == 2 || insn->reg == 4))) {
		*to = emit_indirect(*to, insn, bytes, next);
		return false;
	}
	__builtin_memcpy(*to, bytes, insn->length);
	*to += insn->length;
	statistics.identical++;
	return true;
}

/* The translation of what is at cpu.eip. The caller catches the guest's page fault. */
static struct unit *translate(void)
{
	struct unit *u;
	u8 *to;
	u32 guest = cpu.eip, at;
	bool goes_on = true;

	if (used == UNITS || free_code + UNIT_BYTES > cache + CACHE)
		empty_cache();
	u = &units[used];
	*u = (struct unit){ .guest = guest, .code = free_code };
	to = free_code;
	while (goes_on && u->n < UNIT_MAX) {
		u32 linear = cpu.seg[CS].base + guest;
		const u8 *bytes;
		struct insn insn;

		if (u->n && PAGE - linear % PAGE < 16) /* the next page may be absent */
			break;
		bytes = host_address(linear, 0);
		u->from[u->n] = (u16)(guest - u->guest);
		u->to[u->n++] = (u16)(to - u->code);
		if (!bytes || !decode(bytes, PAGE - linear % PAGE, &insn)) { /* unknown, or in two pages */
			to = emit_call_out(to, guest);
			goes_on = false;
			break;
		}
		goes_on = translate_insn(&to, &insn, bytes, guest);
		guest += insn.length;
	}
	if (goes_on)
		to = emit_branch(to, 0xe9, 1, guest);
	to = emit_exits(to);
	u->end = free_code = to;
	statistics.translated += u->n;
	statistics.guest_bytes += guest - u->guest;
	statistics.bytes += (u32)(u->end - u->code);
	for (at = u->guest % HASH; hash[at]; at = (at + 1) % HASH)
		;
	hash[at] = u;
	used++;
	return u;
}

static struct unit *wanted;
static void want(void)
{
	wanted = translate();
}

/* The translation of cpu.eip; NULL: the guest has a page fault instead. */
static struct unit *lookup(void)
{
	wanted = find(cpu.eip);
	if (!wanted)
		attempt(want);
	if (wanted) {
		branch_keys[cpu.eip % NEAR] = -cpu.eip;
		branch_values[cpu.eip % NEAR] = (u32)wanted->code;
	}
	return wanted;
}

/* ---- what translations ask for ---- */

static void call_out(u32 at)
{
	const u8 *kind = (const u8 *)at;
	u32 guest = *(const u32 *)(at + 1);
	struct insn insn;

	if (*kind == 'I') {
		count("indirect branch");
		cpu.eip = branch_target;
	} else if (*kind == 'J') {
		u8 *displacement = (u8 *)*(const u32 *)(at + 5);
		unsigned before = used;
		struct unit *u;

		count("branch");
		cpu.eip = guest;
		u = lookup();
		if (u && used >= before) { /* else the branch is not there any more */
			link(displacement, u->code);
			statistics.links++;
		}
	} else {
		const u8 *bytes;

		cpu.eip = guest;
		bytes = host_address(cpu.seg[CS].base + guest, 0);
		count(bytes && decode(bytes, 15, &insn) ? insn_name(&insn) : "others");
		interpret();
	}
}

static void report(void)
{
	add("+translations", used);
	add("+instructions in them", statistics.translated);
	add("+instructions that translate to themselves", statistics.identical);
	add("+bytes of the guest", statistics.guest_bytes);
	add("+bytes of translations", statistics.bytes);
	add("+branches linked", statistics.links);
	add("+indirect branches found", branches_found);
}

static u32 run_kernel(u32 at)
{
	bool exact, interrupt;
	unsigned vector;

	interrupts_on = !!(cpu.eflags & FLAG_IF);
	vector = run_translated(at);
	cpu.eflags = (cpu.eflags & ~(u32)FLAG_IF) | (interrupts_on ? FLAG_IF : 0);
	at = frame.eip;
	if (vector == CALL_OUT) {
		call_out(at);
		return 0;
	}
	cpu.eip = guest_of(at, &exact);
	if (vector == 14)
		return handle_page_fault() ? at : 0;
	interrupt = vector >= 32;
	handle_trap(vector);
	/* An interrupt for the guest, too: between two of its instructions. */
	return interrupt && !(exact && cpu.eflags & FLAG_IF && interrupt_pending() >= 0) ? at : 0;
}

void monitor_main(void)
{
	u32 at = 0; /* where to go on in a translation; 0: at cpu.eip */

	boot_guest();
	deprivileged_init(1);
	gdt[CACHE_CODE / 8] = 0xcfba000000ffff;
	gdt[CACHE_DATA / 8] = 0xcfb2000000ffff;
	before_report = report;
	for (;;) {
		if (!at)
			settle();
		if (cpl() == 3) {
			handle_trap(run_direct());
		} else {
			if (!at && lookup())
				at = (u32)wanted->code;
			if (at)
				at = run_kernel(at);
		}
	}
}
